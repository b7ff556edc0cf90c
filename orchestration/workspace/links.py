"""Follows symbolic links of a path, wherever the links are kept; refuses those that lead outside. Pure."""

from collections.abc import Callable

from orchestration.errors import PathRefusedError

_FOLLOWED = 40  # what Linux follows


def follow(relative: str, read_link: Callable[[str], str | None], inside: Callable[[str], str | None]) -> str:
    """The path relative to the root with every link followed.

    `read_link` gives the target of the link at a path, None for anything else; `inside` makes an absolute
    target relative to the root, None when it is outside. Raises PathRefusedError, naming the target.
    """
    left = relative.split("/")[::-1]
    done: list[str] = []
    links = 0
    seen = relative
    while left:
        step = left.pop()
        if step in {"", "."}:
            continue
        if step == "..":
            if not done:
                raise PathRefusedError(
                    f"{relative} is a link to {seen}, outside the workspace; it is neither read nor written"
                )
            done.pop()
            continue
        target = read_link("/".join([*done, step]))
        if target is None:
            done.append(step)
            continue
        links += 1
        if links > _FOLLOWED:
            raise PathRefusedError(
                f"{relative} goes through more than {_FOLLOWED} links; name the file itself"
            )
        seen = target
        if target.startswith("/"):
            within = inside(target)
            if within is None:
                raise PathRefusedError(
                    f"{relative} is a link to {target}, outside the workspace; it is neither read nor written"
                )
            target, done = within, []
        left += target.split("/")[::-1]
    return "/".join(done)
