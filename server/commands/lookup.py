"""Which run and which hunks are meant by what was typed; every miss names the near one."""

import difflib
from collections.abc import Sequence

from orchestration.commands import HunkLines
from orchestration.engine import EngineFront
from orchestration.errors import NotFoundError, UsageError
from orchestration.journal.contract import RunSummary
from orchestration.review.view import ChangesView, HunkView

_MOST_NAMED = 5


async def find_run(engine: EngineFront, given: str) -> RunSummary:
    """The run with this id, a unique beginning of one, or `latest`. Raises NotFoundError."""
    runs = await engine.runs(100_000)
    if not runs:
        raise NotFoundError(
            "this workspace has no runs yet; start one with `antiphon run` or check --workspace"
        )
    if given == "latest":
        return runs[0]
    for run in runs:
        if run.run_id == given:
            return run
    matching = [run for run in runs if run.run_id.startswith(given)] if given else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        named = ", ".join(run.run_id for run in matching[:_MOST_NAMED])
        raise NotFoundError(f"{given!r} begins {len(matching)} runs: {named}; give more of the id")
    near = difflib.get_close_matches(given, [run.run_id for run in runs], n=1)
    mend = f"did you mean {near[0]}?" if near else "`antiphon runs` lists them"
    raise NotFoundError(f"this workspace has no run {given!r}; {mend}")


async def find_checkpoint(engine: EngineFront, given: str) -> tuple[str, str]:
    """The run and the whole id of `RUN.NUMBER`, where RUN is as in `find_run`; `latest` is the newest of all.
    Raises NotFoundError.
    """
    if given == "latest":
        newest = await engine.checkpoints(limit=1)
        if not newest:
            raise NotFoundError("this workspace has no checkpoints yet; every run begins with one")
        return newest[0].run_id, newest[0].checkpoint_id
    name, dot, number = given.rpartition(".")
    if not (name and dot and number.isdecimal()):
        raise NotFoundError(f"{given!r} is no checkpoint; give RUN.NUMBER, `antiphon checkpoints` lists them")
    run = await find_run(engine, name)
    return run.run_id, f"{run.run_id}.{int(number)}"


def chosen_hunks(view: ChangesView, *, files: Sequence[str], hunks: Sequence[str]) -> tuple[str, ...]:
    """The ids of the hunks meant, each once, in the view's order. A hunk may be given by a unique beginning.
    Raises NotFoundError naming the near one.
    """
    chosen: set[str] = set()
    by_path = {file.path: file for file in view.files}
    for path in files:
        name = path.removeprefix("./")
        if name not in by_path:
            raise NotFoundError(
                _missing("no changes of the run are in", path, list(by_path), "antiphon changes RUN --stat")
            )
        chosen.update(hunk.hunk_id for hunk in by_path[name].hunks)
    ids = [hunk.hunk_id for hunk in view.hunks()]
    for given in hunks:
        matching = [given] if given in ids else [one for one in ids if given and one.startswith(given)]
        if len(matching) > 1:
            raise NotFoundError(f"{given!r} begins {len(matching)} hunks; give more of the id")
        if not matching:
            raise NotFoundError(_missing("the run has no hunk", given, ids, "antiphon changes RUN"))
        chosen.add(matching[0])
    return tuple(one for one in ids if one in chosen)


def lines_named(text: str, hunk: HunkView) -> HunkLines:
    """`2-5,8`: lines of a hunk as `antiphon changes --numbers` counts them, the old ones from 1 and then the new
    ones. Raises UsageError.
    """
    old: list[int] = []
    new: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(first) < 1:
            raise UsageError(f"--lines {text!r}: {part!r} is no line and no range of lines, such as 2-5,8")
        for number in range(int(first) - 1, int(last if dash else first)):
            if number < hunk.proposed_old_lines:
                old.append(number)
            else:
                new.append(number - hunk.proposed_old_lines)
    return HunkLines(old=tuple(old), new=tuple(new))


def _missing(what: str, given: str, known: Sequence[str], listing: str) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"`{listing}` lists them"
    return f"{what} {given!r}; {mend}"
