"""What restoring a checkpoint means, path by path. Pure.

Only what the checkpoint or the present snapshot holds is ever named: ignored files and files left out are not
touched. Where one of the two left a path out or ignored it, nothing is known of it there, so it stays.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from orchestration.events import LeftOut
from orchestration.workspace.ignore_rules import IgnoreChain
from orchestration.workspace.objects import LINK, Entry

StepKind = Literal["create", "modify", "delete", "mode", "link"]


@dataclass(frozen=True, slots=True)
class Step:
    """`now` is replaced by `then`; None: nothing is there."""

    path: str
    now: Entry | None
    then: Entry | None

    @property
    def kind(self) -> StepKind:
        if self.now is None:
            return "create"
        if self.then is None:
            return "delete"
        if LINK in {self.now.mode, self.then.mode}:
            return "link"
        return "mode" if self.now.oid == self.then.oid else "modify"


@dataclass(frozen=True, slots=True)
class Moment:
    """The workspace at one time, beside its tree: what was left out, and empty folders (None: not known)."""

    left_out: Sequence[LeftOut] = ()
    folders: Sequence[str] | None = None

    def why_left(self, path: str) -> str | None:
        """Why a path was left out, None when it was not. A folder that was left out ends with `/`."""
        for item in self.left_out:
            if path == item.path or (item.path.endswith("/") and path.startswith(item.path)):
                return item.reason
        return None


@dataclass(frozen=True)
class RestorePlan:
    """`left`: paths that differ or may differ and are not touched, with the reason. `make` and `drop` are empty
    folders to create, and to remove where they are still empty.
    """

    steps: tuple[Step, ...]
    left: tuple[LeftOut, ...] = ()
    make: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return not (self.steps or self.make or self.drop)

    @cached_property
    def making_way(self) -> frozenset[str]:
        """Paths to delete first, because a folder comes in their place, or a file in the place of their folder."""
        coming = {step.path for step in self.steps if step.then is not None}
        above = {parent for path in coming for parent in parents(path)}
        return frozenset(
            step.path
            for step in self.steps
            if step.then is None and (step.path in above or not coming.isdisjoint(parents(step.path)))
        )


def plan(
    differences: Iterable[tuple[str, Entry | None, Entry | None]],
    now: Moment,
    then: Moment,
    *,
    paths: Collection[str] = (),
    ignored_then: Callable[[str], bool],
    newly_nested: Callable[[str], bool],
) -> RestorePlan:
    """`differences` are (path, entry now, entry then). `ignored_then`: whether the checkpoint's own ignore rules
    hid a path; `newly_nested`: whether it lies in a repository that the checkpoint knew nothing of. Both are
    asked about files that would be deleted.
    """
    steps, left = [], []
    for path, here, wanted in differences:
        if not selected(path, paths):
            continue
        why = now.why_left(path) if here is None else then.why_left(path) if wanted is None else None
        if why is None and wanted is None:
            if ignored_then(path):
                why = "was ignored at the checkpoint, which knows nothing of it"
            elif newly_nested(path):
                why = "lies in a repository that came after the checkpoint"
        elif why is not None:
            why = f"{'left out of checkpoints now' if here is None else 'left out of that checkpoint'}: {why}"
        if why is None:
            steps.append(Step(path, here, wanted))
        else:
            left.append(LeftOut(path, why))
    make, drop = _folders(now, then, paths)
    return RestorePlan(tuple(steps), tuple(left), make, drop, frozenset(then.folders or ()))


def selected(path: str, paths: Collection[str]) -> bool:
    """Whether a path is one of those, or beneath one; without any, all are."""
    return not paths or path in paths or not set(paths).isdisjoint(parents(path))


def parents(path: str) -> list[str]:
    """The folders of a path, the nearest first, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]


def _folders(now: Moment, then: Moment, paths: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if then.folders is None:
        return (), ()
    here = set(now.folders or ())
    make = tuple(path for path in then.folders if path not in here and selected(path, paths))
    known = set(then.folders)
    drop = tuple(path for path in here if path not in known and selected(path, paths))
    return make, tuple(sorted(drop))


class RulesThen:
    """The ignore files that a checkpoint holds, asked as the walk of a snapshot would."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """`read` gives the content of a path in the checkpoint."""
        self._read = read
        self._chains: dict[str, IgnoreChain | None] = {}

    def hide(self, path: str) -> bool:
        folder, slash, name = path.rpartition("/")
        chain = self._chain(folder + slash)
        return chain is None or chain.ignores(path, name, is_folder=False)

    def _chain(self, folder: str) -> IgnoreChain | None:
        """The rules in a folder ("" or ending with `/`); None: it is hidden itself."""
        if folder not in self._chains:
            self._chains[folder] = self._made(folder)
        return self._chains[folder]

    def _made(self, folder: str) -> IgnoreChain | None:
        if folder:
            above, slash, name = folder[:-1].rpartition("/")
            chain = self._chain(above + slash)
            if chain is None or chain.ignores(folder[:-1], name, is_folder=True):
                return None
        else:
            chain = IgnoreChain(())
        rules = self._read(f"{folder}.gitignore")
        return chain if rules is None else chain.with_file(rules, folder)
