"""Installed dependencies and large files in a checkout: copied (sharing blocks where the file system can),
never linked, so that nothing a command does reaches the user's own.

A virtual environment is moved on the way: its scripts, `.pth` files and editable finders name absolute
paths, and those that led to the user's folder lead to the checkout afterwards.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestration.errors import ProcessError
from orchestration.ports import Executor
from orchestration.workspace.checkout_slot import Slot, SlotState, remove_tree
from orchestration.workspace.environment import find_program
from orchestration.workspace.launcher import Command, ProcessLauncher

_TOOL_CACHES = (".cache", ".vite", ".vite-temp")  # what tools write into node_modules of their own accord
_MARKERS = (".package-lock.json", ".yarn-integrity", ".modules.yaml", "pyvenv.cfg", "modules.txt")
_SMALL = 1024 * 1024
_LARGE_TOTAL = 2 * 1024**3
_COPY_S = 600.0


class DependencyCopies:
    def __init__(
        self, launcher: ProcessLauncher, executor: Executor, roots: tuple[str, ...], path: str
    ) -> None:
        """`roots`: the user's workspace by its real path, then by other names; `path`: PATH to find `cp` and
        `find` in.
        """
        self._launcher = launcher
        self._executor = executor
        self._roots = roots
        self._root = Path(roots[0])
        self._cp = find_program("cp", path, (self._root,))
        self._find = find_program("find", path, (self._root,))

    async def provide(
        self, slot: Slot, before: SlotState, folders: Sequence[str], large: Sequence[str]
    ) -> tuple[dict[str, str], dict[str, tuple[int, int]]]:
        """Makes the slot hold them as they are now; gives the fingerprints. Raises ProcessError."""
        wanted = await self._executor.run(self._fingerprints, outermost(folders))
        copies: dict[str, str] = {}
        for path, mark in wanted.items():
            place = slot.tree / path
            if before.copies.get(path) != mark or await self._was_changed(slot, path):
                await self._executor.run(remove_tree, place)
                await self._copy(self._root / path, place)
                await self._executor.run(relocate, place, self._roots, slot.tree)
                await self._executor.run(_stamp(slot, path).write_text, "")
            copies[path] = mark
        for path in before.copies.keys() - wanted.keys():
            await self._executor.run(remove_tree, slot.tree / path)
        return copies, await self._large(slot, before, large)

    async def drop_repositories(self, slot: Slot, copies: Iterable[str]) -> None:
        """Removes `.git` of whatever a command has made one of: git would hide its files and keep it for ever."""
        skipped: list[str] = []
        for path in copies:
            skipped += ["-o", "-path", _literal(slot.tree / path)]
        if self._find is None:
            raise ProcessError("find was not found in a safe entry of PATH; checkouts cannot be cleaned")
        pruned = ("(", *skipped[1:], ")", "-prune", "-o") if skipped else ()
        found = await self._run((self._find, str(slot.tree), *pruned, "-name", ".git", "-prune", "-print0"))
        for name in found.split(b"\0"):
            if name:
                await self._executor.run(remove_tree, Path(os.fsdecode(name)))

    def _fingerprints(self, folders: Iterable[str]) -> dict[str, str]:
        found = {path: fingerprint(self._root / path) for path in folders}
        return {path: mark for path, mark in found.items() if mark}

    async def _was_changed(self, slot: Slot, path: str) -> bool:
        """Whether a command wrote into the copy since it was made; what tools cache there is thrown away."""
        place, stamp = slot.tree / path, _stamp(slot, path)
        if self._find is None or not place.is_dir() or not stamp.is_file():
            return True
        skipped: list[str] = []
        for name in _TOOL_CACHES:
            skipped += ["-o", "-path", _literal(place / name)]
        done = await self._run(
            (
                self._find,
                str(place),
                "(",
                *skipped[1:],
                ")",
                "-prune",
                "-o",
                "-cnewer",
                str(stamp),
                "-print",
                "-quit",
            )
        )
        for name in _TOOL_CACHES:
            if (place / name).is_dir():
                await self._executor.run(_emptied, place / name)
        return bool(done)

    async def _large(self, slot: Slot, before: SlotState, large: Sequence[str]) -> dict[str, tuple[int, int]]:
        kept: dict[str, tuple[int, int]] = {}
        total = 0
        for path in large:
            source, place = self._root / path, slot.tree / path
            try:
                state = source.lstat()
            except OSError:
                continue
            total += state.st_size
            if total > _LARGE_TOTAL:
                break
            mark = (state.st_size, state.st_mtime_ns)
            if before.files.get(path) != mark or not _is_copy(place, mark):
                await self._executor.run(remove_tree, place)
                await self._copy(source, place)
                place.chmod(0o444)
            kept[path] = mark
        for path in before.files.keys() - kept.keys():
            await self._executor.run(remove_tree, slot.tree / path)
        return kept

    async def _copy(self, source: Path, place: Path) -> None:
        if self._cp is None:
            raise ProcessError(
                "cp was not found in a safe entry of PATH; installed dependencies cannot be copied"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        flags = ("-cRp",) if sys.platform == "darwin" else ("-a", "--reflink=auto")
        await self._run((self._cp, *flags, "--", str(source), str(place)))
        if place.name == "node_modules":
            for name in _TOOL_CACHES:
                (place / name).mkdir(exist_ok=True)

    async def _run(self, argv: Sequence[str]) -> bytes:
        done = await self._launcher.run(
            Command(argv, Path("/"), timeout_s=_COPY_S, separate=True, own_tool=True, purpose="dependencies")
        )
        if done.exit_code or done.timed_out:
            said = done.errors.decode("utf-8", "replace").strip()[:500]
            raise ProcessError(
                f"the workspace's dependencies could not be copied: {said or 'it took too long'}"
            )
        return done.output


def outermost(folders: Iterable[str]) -> list[str]:
    """Without those that lie inside another one."""
    kept: list[str] = []
    for folder in sorted(set(folders)):
        if not any(folder.startswith(outer + "/") for outer in kept):
            kept.append(folder)
    return kept


def fingerprint(folder: Path) -> str:
    """Changes when packages are installed or removed; "" when there is no such folder (or it is a link)."""
    if folder.is_symlink() or not folder.is_dir():
        return ""
    places = [
        folder,
        *(folder / name for name in _MARKERS),
        *sorted(folder.glob("lib/python*/site-packages")),
    ]
    marks = []
    for place in places:
        try:
            state = place.stat()
        except OSError:
            continue
        marks.append(f"{state.st_ino}:{state.st_mtime_ns}")
    return ",".join(marks)


def relocate(copy: Path, roots: Sequence[str], checkout: Path) -> None:
    """Leads what names a path of the workspace to the checkout: links everywhere, scripts and path files of a
    virtual environment.
    """
    for place, folders, files in os.walk(copy):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                _relink(path, roots, str(checkout))
    if not (copy / "pyvenv.cfg").is_file():
        return
    texts = [copy / "pyvenv.cfg", *(copy / "bin").glob("*")]
    for packages in copy.glob("lib/python*/site-packages"):
        texts += [*packages.glob("*.pth"), *packages.glob("__editable__*.py"), *packages.glob("*.egg-link")]
        texts += packages.glob("*.dist-info/direct_url.json")
    names = b"|".join(re.escape(os.fsencode(root)) for root in roots)
    whole_path = re.compile(b"(?:%s)(?=[/\\s\"';:]|$)" % names)
    for path in texts:
        _rewrite(path, whole_path, os.fsencode(checkout))


def _relink(path: Path, roots: Sequence[str], new: str) -> None:
    target = os.readlink(path)  # noqa: PTH115 - a Path would tidy the target's dots away
    for old in roots:
        if target == old or target.startswith(old + "/"):
            path.unlink()
            path.symlink_to(new + target[len(old) :])
            return


def _rewrite(path: Path, old: re.Pattern[bytes], new: bytes) -> None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _SMALL:
        return
    data = path.read_bytes()
    changed = old.sub(lambda _: new, data)
    if changed == data or b"\0" in data:
        return
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(changed)
    path.chmod(mode & 0o7777)


def _literal(path: Path) -> str:
    """For `find -path`, which takes a pattern."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in str(path))


def _stamp(slot: Slot, path: str) -> Path:
    return slot.folder / f"copied-{path.replace('%', '%25').replace('/', '%2F')}"


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        remove_tree(path)


def _is_copy(place: Path, mark: tuple[int, int]) -> bool:
    try:
        state = place.lstat()
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == mark
