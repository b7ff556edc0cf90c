"""The plan of a restore as people read it: a line for each file, and a unified diff. Blocking."""

from orchestration.checkpoints.steps import RestorePlan, Step
from orchestration.checkpoints.view import CheckpointDiff, CheckpointFile
from orchestration.edits.text import BinaryContentError, FileText
from orchestration.events import LeftOut
from orchestration.review.cleanup import diff_lines
from orchestration.review.unified import unified
from orchestration.workspace.objects import LINK, Entry, ObjectStore

_MOST_TEXT = 1_000_000  # characters


def compared(
    objects: ObjectStore, made: RestorePlan, checkpoint_id: str, run_id: str, left_out: tuple[LeftOut, ...]
) -> CheckpointDiff:
    files: list[CheckpointFile] = []
    texts: list[str] = []
    size, cut = 0, False
    for step in made.steps:
        before, after = _lines(objects, step.now), _lines(objects, step.then)
        if before is None or after is None:
            files.append(CheckpointFile(path=step.path, kind=step.kind, binary=True))
            continue
        blocks = diff_lines(before, after)
        files.append(
            CheckpointFile(
                path=step.path,
                kind=step.kind,
                added=sum(block.new_end - block.new_start for block in blocks),
                removed=sum(block.old_end - block.old_start for block in blocks),
            )
        )
        if cut or not blocks:
            continue
        text = unified(before, after, *_names(step))
        size += len(text)
        if size > _MOST_TEXT:
            cut = True
        else:
            texts.append(text)
    return CheckpointDiff(
        checkpoint_id=checkpoint_id,
        run_id=run_id,
        files=tuple(files),
        left=made.left,
        left_out=left_out,
        made=made.make,
        dropped=made.drop,
        diff="".join(texts),
        cut=cut,
    )


def _names(step: Step) -> tuple[str, str]:
    return (
        "/dev/null" if step.now is None else f"a/{step.path}",
        "/dev/null" if step.then is None else f"b/{step.path}",
    )


def _lines(objects: ObjectStore, entry: Entry | None) -> list[str] | None:
    """None for what is no text. A link is its target."""
    if entry is None:
        return []
    data = objects.blob(entry.oid)
    if entry.mode == LINK:
        return [data.decode("utf-8", "backslashreplace")]
    try:
        return list(FileText.decode(data).lines)
    except BinaryContentError:
        return None
