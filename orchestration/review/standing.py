"""How the hunks of a file stand in the file as it is now, and what accepting some of them makes of it. Pure.

A hunk is proposed against the base. Since then hunks were accepted and the user has typed: the text to
expect is the base with what was accepted, the user's edits are what the current text differs by, and
the open hunks are rebased over both. A hunk whose own lines the user changed is a conflict, never a guess.
What the text shows as taken back (`in_effect.py`) is proposed again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from orchestration.edits.text import BinaryContentError, FileText, split_lines
from orchestration.review.change_set import FileChange
from orchestration.review.history import History, history_of
from orchestration.review.hunks import Hunk, HunkState, apply_hunks, sha256
from orchestration.review.in_effect import Variants, expected_text, variants_in_effect
from orchestration.review.parts import Rest, Taken, held_text, open_lines, rest_of
from orchestration.review.rebase import rebase_hunks

# Not decided by lines, unless parts of it were.
_WHOLE_TEXT = frozenset({"create", "whole"})


@dataclass(frozen=True, slots=True)
class Versions:
    """The contents a standing is judged by; None: no such file. `old_now` is what is at the old name of a
    renamed file, else the same as `now`. `saved`: the disk holds what a buffer shows.
    """

    base: bytes | None
    proposed: bytes | None
    now: bytes | None
    old_now: bytes | None
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Stand:
    """One hunk as it stands. `hunk`: its numbers in the current text, its state, and what it would change
    there: of a hunk that is decided in parts, the rest. `variant`: what is in effect of its history.
    `conflict`: why it cannot be accepted, also when it is rejected.
    """

    hunk: Hunk
    history: History
    variant: int
    taken: Taken
    rest: Rest
    conflict: str = ""

    @property
    def detail(self) -> str:
        return self.conflict if self.hunk.state == "conflict" else ""

    def shows(self, decision_id: str) -> bool:
        """Whether what this decision accepted of the hunk is in the file's text."""
        return decision_id in self.history.variants[self.variant]

    @property
    def held(self) -> str:
        return held_text(self.history.hunk, self.taken)


@dataclass(frozen=True, slots=True)
class Standing:
    """`stands`: in the order of the change's hunks."""

    change: FileChange
    stands: tuple[Stand, ...]
    renamed: bool

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        return tuple(stand.hunk for stand in self.stands)

    @property
    def details(self) -> dict[str, str]:
        """Why a hunk is a conflict, by its id."""
        return {stand.hunk.id: stand.detail for stand in self.stands if stand.detail}

    @property
    def path(self) -> str:
        """Where the file is now."""
        return self.change.path if self.renamed else self.change.base_path


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


@dataclass(slots=True)
class _Judging:
    """One file's. `lined`: the hunks that are ranges of its lines now."""

    change: FileChange
    versions: Versions
    known: Mapping[str, History]
    variants: Variants = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def taken(self, hunk: Hunk) -> Taken:
        return history_of(self.known, hunk).taken(self.variants.get(hunk.id, 0))


def stand(change: FileChange, versions: Versions, known: Mapping[str, History]) -> Standing:
    """Judges every hunk of `change`. `known`: the histories of those that were decided."""
    judging = _Judging(change, versions, known)
    for hunk in change.hunks:
        if hunk.kind != "lines" and hunk.id in known:
            judging.variants[hunk.id] = _whole_variant(hunk, change, versions, known[hunk.id])
    renamed = any(hunk.kind == "rename" and judging.taken(hunk).state == "accepted" for hunk in change.hunks)
    now = versions.now if change.old_path is None or renamed else versions.old_now
    placed: dict[str, Hunk] = {}
    lined = [hunk for hunk in change.hunks if _by_lines(hunk, judging, now)]
    if lined:
        placed.update(_stand_lines(lined, now, judging))
    for hunk in change.hunks:
        if hunk.id not in placed:
            placed[hunk.id] = _stand_whole(hunk, now, judging)
    return Standing(change, tuple(_stand(hunk, placed[hunk.id], judging) for hunk in change.hunks), renamed)


def _stand(proposed: Hunk, placed: Hunk, judging: _Judging) -> Stand:
    history = history_of(judging.known, proposed)
    variant = judging.variants.get(proposed.id, 0)
    taken = history.taken(variant)
    conflict = judging.details.get(proposed.id, "")
    if not _is_open(proposed, taken):
        state: HunkState = "rejected" if taken.state == "rejected" else "accepted"
        placed = msgspec.structs.replace(placed, state=state)
    return Stand(placed, history, variant, taken, rest_of(proposed, taken), conflict)


def _is_open(hunk: Hunk, taken: Taken) -> bool:
    return taken.state == "open" or (taken.state == "parts" and bool(open_lines(hunk, taken)))


def _by_lines(hunk: Hunk, judging: _Judging, now: bytes | None) -> bool:
    """A created file is a range of lines as soon as some of them were taken."""
    if hunk.kind == "lines":
        return True
    return hunk.kind == "create" and now is not None and judging.taken(hunk).state == "parts"


def _stand_lines(hunks: Sequence[Hunk], now: bytes | None, judging: _Judging) -> dict[str, Hunk]:
    texts = _texts(judging.versions.base, now)
    if texts is None or now is None:
        why = "the file is gone" if now is None else "the file is no text any more"
        return {hunk.id: _conflict(hunk, why, judging, "" if now is None else sha256(now)) for hunk in hunks}
    base_text, now_text = texts
    judging.variants.update(variants_in_effect(base_text.lines, hunks, judging.known, now_text.text))
    taken = {hunk.id: judging.taken(hunk) for hunk in hunks}
    held = {hunk.id: held_text(hunk, taken[hunk.id]) for hunk in hunks}
    expected = expected_text(base_text.lines, hunks, held).text
    shifted = []
    shift = 0
    for hunk in sorted(hunks, key=lambda hunk: hunk.old_start):
        rest = rest_of(hunk, taken[hunk.id])
        old_lines = len(split_lines(rest.old))
        shifted.append(
            msgspec.structs.replace(
                hunk,
                kind="lines",
                old_start=hunk.old_start + shift + rest.lead,
                old_lines=old_lines,
                old=rest.old,
                new=rest.new,
                new_lines=len(split_lines(rest.new)),
            )
        )
        shift += len(split_lines(held[hunk.id])) - hunk.old_lines
    moved, conflicts = rebase_hunks(shifted, expected, now_text.text, current_hash=sha256(now))
    found = {hunk.id: msgspec.structs.replace(hunk, state="proposed") for hunk in (*moved, *conflicts)}
    for hunk in conflicts:
        found[hunk.id] = _conflict(hunk, "the lines were changed since the proposal", judging, hunk.base_hash)
    return found


def _whole_variant(hunk: Hunk, change: FileChange, versions: Versions, history: History) -> int:
    """What is in effect of a hunk that concerns the file as a whole. As with lines, only what the contents
    show exactly counts.
    """
    if hunk.kind == "create" and versions.now is not None and history.variants[0]:
        return 0  # what the user did to the file since is not asked
    doubted = frozenset(mark.decision_id for mark in history.accepts if mark.doubt)
    if hunk.kind == "rename" and doubted and versions.now is not None and versions.old_now is not None:
        return history.variant_of(history.variants[0] | doubted)  # cut off between its halves, to be finished
    shown = (
        variant
        for variant in range(len(history.variants))
        if _shows(hunk, change, versions, history.taken(variant))
    )
    return next(shown, 0)


def _shows(hunk: Hunk, change: FileChange, versions: Versions, taken: Taken) -> bool:
    now, done = versions.now, taken.state not in {"open", "rejected"}
    match hunk.kind:
        case "create":
            text = None if taken.state == "accepted" else held_text(hunk, taken)
            return now == (_as_text(versions.proposed, text) if done else None)
        case "delete":
            return now is None if done else now is not None and sha256(now) == change.base_hash
        case "rename":
            there = now if done else versions.old_now
            return there is not None and (versions.old_now if done else now) is None
        case "whole":
            return now == (versions.proposed if done else versions.base)
        case "mode" | "lines":
            return True


def _stand_whole(hunk: Hunk, now: bytes | None, judging: _Judging) -> Hunk:
    """A hunk that concerns the file as a whole, while it is open."""
    change, versions = judging.change, judging.versions
    if judging.taken(hunk).state in {"accepted", "text"}:
        return hunk
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
    if not why:
        return msgspec.structs.replace(hunk, state="proposed")
    there = versions.now if hunk.kind == "create" else now
    return _conflict(hunk, why, judging, "" if there is None else sha256(there))


def writes_for(
    standing: Standing, versions: Versions, chosen: Mapping[str, str | None]
) -> tuple[FileWrite, ...]:
    """What accepting the hunks `chosen` does to the file, path by path. Each comes with the text that takes its
    place, None: the proposed one; a conflict is among them only with a text. Raises ConflictError when the
    file cannot hold it, UnencodableTextError.
    """
    change = standing.change
    hunks = [hunk for hunk in standing.hunks if hunk.id in chosen]
    kinds = {hunk.kind for hunk in hunks}
    now = versions.now if change.old_path is None or standing.renamed else versions.old_now
    if kinds & _WHOLE_TEXT:
        text = next(chosen[hunk.id] for hunk in hunks if hunk.kind in _WHOLE_TEXT)
        return (FileWrite(change.path, now, _as_text(versions.proposed, text), change.new_mode),)
    if "delete" in kinds:
        return (FileWrite(change.path, now, None, old_mode=change.old_mode),)
    assert now is not None
    mode = change.new_mode if "mode" in kinds else None
    lined = [_instead(hunk, chosen[hunk.id], now) for hunk in hunks if hunk.kind == "lines"]
    after = apply_hunks(now, lined)
    if "rename" in kinds:
        assert change.old_path is not None
        return (
            FileWrite(change.path, None, after, mode if mode is not None else change.old_mode),
            FileWrite(change.old_path, now, None, old_mode=change.old_mode),
        )
    return (FileWrite(standing.path, now, after, mode, change.old_mode if "mode" in kinds else None),)


def _instead(hunk: Hunk, text: str | None, now: bytes) -> Hunk:
    """The hunk with another new text; of a conflict, in place of what stands there now."""
    if text is None:
        return hunk
    there = "".join(FileText.decode(now).lines[hunk.old_start : hunk.old_end])
    return msgspec.structs.replace(hunk, old=there, new=text, new_lines=len(split_lines(text)))


def _as_text(proposed: bytes | None, text: str | None) -> bytes | None:
    if text is None or proposed is None:
        return proposed
    return FileText.decode(proposed).with_text(text).encode()


def _texts(base: bytes | None, now: bytes | None) -> tuple[FileText, FileText] | None:
    if now is None:
        return None
    try:
        return FileText.decode(base or b""), FileText.decode(now)
    except BinaryContentError:
        return None


def _conflict(hunk: Hunk, why: str, judging: _Judging, there: str) -> Hunk:
    """`there`: the hash of the file as it is."""
    judging.details[hunk.id] = why
    return msgspec.structs.replace(hunk, state="conflict", base_hash=there)
