"""The in-memory twin of the git store: the same ids, no disk, no process. For tests and the simulator.

Its content merge is a plain three-way merge of lines; it knows no renames, so that a file renamed on
one side and edited on the other is a conflict here where git may merge it.
"""

from collections.abc import Mapping
from difflib import SequenceMatcher

from orchestration.errors import NotFoundError
from orchestration.workspace.ancestry import Ancestry
from orchestration.workspace.merging import ContentMerged
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.objects import Change, Entry
from orchestration.workspace.tree_codec import EMPTY_TREE, parse_commit
from orchestration.workspace.trees import RawObject


class _Kept:
    def __init__(self) -> None:
        self.objects: dict[str, RawObject] = {EMPTY_TREE: RawObject("tree", b"")}

    def get(self, oid: str) -> RawObject:
        try:
            return self.objects[oid]
        except KeyError:
            raise NotFoundError(f"object {oid} is not in the store") from None

    def put(self, objects: Mapping[str, RawObject]) -> None:
        self.objects.update(objects)


class MemoryObjects(SnapshotStore):
    def __init__(self) -> None:
        self._kept = _Kept()
        super().__init__(self._kept, self._merge_contents)

    async def _merge_contents(self, ours: str, theirs: str) -> ContentMerged:
        bases = Ancestry(lambda oid: parse_commit(self._kept.get(oid).body).parents).merge_bases(
            ours, [theirs]
        )
        base = self.tree_of(bases[0]) if bases else EMPTY_TREE
        changes: dict[str, Change | Entry | None] = {}
        conflicts = []
        for path, before, after in self.diff(base, theirs):
            now = self.entry(ours, path)
            blocker = self._blocker(ours, path) if after is not None else None
            if blocker is not None:
                # As git does: the folder keeps the name, the file steps aside.
                conflicts.append(blocker)
                if blocker == path:
                    changes[f"{path}~{theirs}"] = after
                else:
                    changes |= {f"{blocker}~{ours}": self.entry(ours, blocker), blocker: None, path: after}
            elif now == before:
                changes[path] = after
            elif now != after:
                changes[path], clean = self._both(before, now, after)
                if not clean:
                    conflicts.append(path)
        return ContentMerged(self.write(ours, changes), tuple(dict.fromkeys(conflicts)))

    def _both(
        self, before: Entry | None, now: Entry | None, after: Entry | None
    ) -> tuple[Change | Entry | None, bool]:
        """What stands at a path that both sides changed, and whether it merged cleanly."""
        if now is None or after is None:
            return now or after, False
        old = b"" if before is None else self.blob(before.oid)
        merged = merge_lines(old, self.blob(now.oid), self.blob(after.oid))
        return (now, False) if merged is None else (Change(merged[0], now.mode), merged[1])

    def _blocker(self, snapshot: str, path: str) -> str | None:
        """A folder at the path, or a file where it needs a folder."""
        if self.entry(snapshot, path) is None and next(self.entries(snapshot, path), None) is not None:
            return path
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return next((folder for folder in above if self.entry(snapshot, folder)), None)


def merge_lines(base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, bool] | None:
    """Three-way merge of lines: the text, and whether it is free of conflict markers. None: binary."""
    if b"\0" in base + ours + theirs:
        return None
    old, left, right = base.splitlines(True), ours.splitlines(True), theirs.splitlines(True)
    out: list[bytes] = []
    clean = True
    at_old = at_left = at_right = 0
    for start, in_left, in_right, size in [*_common(old, left, right), (len(old), len(left), len(right), 0)]:
        was, mine, other = old[at_old:start], left[at_left:in_left], right[at_right:in_right]
        if mine in (was, other):
            out += other
        elif other == was:
            out += mine
        else:
            clean = False
            out += [b"<<<<<<< ours\n", *_ended(mine), b"=======\n", *_ended(other), b">>>>>>> theirs\n"]
        out += old[start : start + size]
        at_old, at_left, at_right = start + size, in_left + size, in_right + size
    return b"".join(out), clean


def _ended(lines: list[bytes]) -> list[bytes]:
    return [line if line.endswith(b"\n") else line + b"\n" for line in lines]


def _common(old: list[bytes], left: list[bytes], right: list[bytes]) -> list[tuple[int, int, int, int]]:
    """Runs of lines that all three share: place in each, and length."""
    in_left: dict[int, int] = {}
    for block in SequenceMatcher(None, old, left, autojunk=False).get_matching_blocks():
        in_left.update((block.a + step, block.b + step) for step in range(block.size))
    in_right: dict[int, int] = {}
    for block in SequenceMatcher(None, old, right, autojunk=False).get_matching_blocks():
        in_right.update((block.a + step, block.b + step) for step in range(block.size))
    runs: list[tuple[int, int, int, int]] = []
    for line in range(len(old)):
        if line not in in_left or line not in in_right:
            continue
        place = (line, in_left[line], in_right[line])
        if runs:
            a, b, c, size = runs[-1]
            if place == (a + size, b + size, c + size):
                runs[-1] = (a, b, c, size + 1)
                continue
        runs.append((*place, 1))
    return runs
