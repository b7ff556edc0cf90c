"""How the hunks of a file stand in the file as it is now, and what accepting some of them makes of it. Pure.

A hunk is proposed against the base. Since then hunks were accepted and the user has typed: the text to
expect is the base with the accepted hunks, the user's edits are what the current text differs by, and
the open hunks are rebased over both. A hunk whose own lines the user changed is a conflict, never a guess.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from orchestration.edits.text import BinaryContentError, FileText
from orchestration.review.change_set import FileChange
from orchestration.review.hunks import Hunk, HunkState, apply_hunks, apply_to_lines, sha256
from orchestration.review.rebase import rebase_hunks


@dataclass(frozen=True, slots=True)
class Versions:
    """The contents a standing is judged by; None: no such file. `old_now` is what is at the old name of a
    renamed file, else the same as `now`.
    """

    base: bytes | None
    proposed: bytes | None
    now: bytes | None
    old_now: bytes | None


@dataclass(frozen=True, slots=True)
class Standing:
    """`hunks` carry their numbers in the current text and their state; `details` say why one is a conflict."""

    change: FileChange
    hunks: tuple[Hunk, ...]
    details: Mapping[str, str]
    renamed: bool


@dataclass(frozen=True, slots=True)
class FileWrite:
    """What is to happen to one path; None: no such file. `mode`: permission bits to set, `old_mode` those that
    an undo gives back; None: they stay.
    """

    path: str
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    old_mode: int | None = None


def stand(
    change: FileChange, versions: Versions, accepted: Collection[str], rejected: Collection[str]
) -> Standing:
    """Judges every hunk of `change`."""
    renamed = any(hunk.kind == "rename" and hunk.id in accepted for hunk in change.hunks)
    now = versions.now if change.old_path is None or renamed else versions.old_now
    details: dict[str, str] = {}
    judged: dict[str, Hunk] = {}
    line_hunks = [hunk for hunk in change.hunks if hunk.kind == "lines"]
    if line_hunks:
        judged.update(_stand_lines(line_hunks, versions.base, now, accepted, details))
    for hunk in change.hunks:
        if hunk.kind != "lines":
            judged[hunk.id] = _stand_whole(hunk, change, versions, now, accepted, details)
    hunks = []
    for hunk in change.hunks:
        found = judged[hunk.id]
        if hunk.id in rejected and found.state in {"proposed", "conflict"}:
            found = msgspec.structs.replace(found, state="rejected")
            details.pop(hunk.id, None)
        hunks.append(found)
    return Standing(change, tuple(hunks), details, renamed)


def _stand_lines(
    hunks: Sequence[Hunk],
    base: bytes | None,
    now: bytes | None,
    accepted: Collection[str],
    details: dict[str, str],
) -> dict[str, Hunk]:
    texts = _texts(base, now)
    if texts is None or now is None:
        why = "the file is gone" if now is None else "the file is no text any more"
        return {hunk.id: hunk if hunk.id in accepted else _conflict(hunk, why, details) for hunk in hunks}
    base_text, now_text = texts
    taken = [hunk for hunk in hunks if hunk.id in accepted]
    expected = "".join(apply_to_lines(base_text.lines, taken))
    shifted = []
    shift = 0
    for hunk in sorted(hunks, key=lambda hunk: hunk.old_start):
        if hunk.id in accepted:
            # An accepted hunk stands in the text as its own new lines.
            shifted.append(
                msgspec.structs.replace(
                    hunk, old_start=hunk.old_start + shift, old_lines=hunk.new_lines, old=hunk.new
                )
            )
            shift += hunk.new_lines - hunk.old_lines
        else:
            shifted.append(msgspec.structs.replace(hunk, old_start=hunk.old_start + shift))
    moved, conflicts = rebase_hunks(shifted, expected, now_text.text, current_hash=sha256(now))
    found = {}
    for hunk in (*moved, *conflicts):
        if hunk.id in accepted:
            found[hunk.id] = msgspec.structs.replace(hunk, state="accepted")
        else:
            found[hunk.id] = msgspec.structs.replace(hunk, state="proposed")
    for hunk in conflicts:
        if hunk.id not in accepted:
            found[hunk.id] = _conflict(hunk, "the lines were changed since the proposal", details)
    return found


def _stand_whole(
    hunk: Hunk,
    change: FileChange,
    versions: Versions,
    now: bytes | None,
    accepted: Collection[str],
    details: dict[str, str],
) -> Hunk:
    """A hunk that concerns the file as a whole."""
    if hunk.id in accepted:
        return msgspec.structs.replace(hunk, state="accepted")
    why = ""
    if hunk.kind == "create" and versions.now is not None:
        why = f"{change.path} exists now"
    elif hunk.kind == "rename":
        if versions.old_now is None:
            why = f"{change.old_path} is gone"
        elif versions.now is not None:
            why = f"{change.path} exists now"
    elif hunk.kind in {"delete", "whole"} and (now is None or sha256(now) != change.base_hash):
        why = "the file is gone" if now is None else "the file was changed since the proposal"
    elif hunk.kind == "mode" and now is None:
        why = "the file is gone"
    return _conflict(hunk, why, details) if why else msgspec.structs.replace(hunk, state="proposed")


def writes_for(standing: Standing, versions: Versions, chosen: Collection[str]) -> tuple[FileWrite, ...]:
    """What accepting the hunks `chosen` (none of them a conflict) does to the file, path by path."""
    change = standing.change
    hunks = [hunk for hunk in standing.hunks if hunk.id in chosen]
    kinds = {hunk.kind for hunk in hunks}
    now = versions.now if change.old_path is None or standing.renamed else versions.old_now
    if "create" in kinds or "whole" in kinds:
        return (FileWrite(change.path, now, versions.proposed, change.new_mode),)
    if "delete" in kinds:
        return (FileWrite(change.path, now, None, old_mode=change.old_mode),)
    assert now is not None
    mode = change.new_mode if "mode" in kinds else None
    after = apply_hunks(now, [hunk for hunk in hunks if hunk.kind == "lines"])
    if "rename" in kinds:
        assert change.old_path is not None
        return (
            FileWrite(change.path, None, after, mode if mode is not None else change.old_mode),
            FileWrite(change.old_path, now, None, old_mode=change.old_mode),
        )
    where = change.path if standing.renamed else change.base_path
    return (FileWrite(where, now, after, mode, change.old_mode if "mode" in kinds else None),)


def _texts(base: bytes | None, now: bytes | None) -> tuple[FileText, FileText] | None:
    if now is None:
        return None
    try:
        return FileText.decode(base or b""), FileText.decode(now)
    except BinaryContentError:
        return None


def _conflict(hunk: Hunk, why: str, details: dict[str, str]) -> Hunk:
    details[hunk.id] = why
    state: HunkState = "conflict"
    return msgspec.structs.replace(hunk, state=state)
