"""From two snapshots and the disk to the plan of a restore. Blocking; runs in a worker thread."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from orchestration import events as ev
from orchestration.checkpoints.steps import Moment, RestorePlan, RulesThen, Step, parents, plan, selected
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError, NotFoundError
from orchestration.events import LeftOut
from orchestration.workspace.entries import UserEntries


@dataclass(frozen=True, slots=True)
class Wanted:
    """A snapshot with what its tree does not hold."""

    snapshot: str
    moment: Moment


class Planner:
    def __init__(self, ports: EnginePorts) -> None:
        self._ports = ports

    def plan(self, now: Wanted, then: Wanted, paths: Collection[str]) -> RestorePlan:
        """Raises NotFoundError for a path that neither of the two knows."""
        made = self._between(now, then, paths)
        for path in paths:
            self._check(path, now, then, made)
        return self._examined(made)

    def found(self, now: Wanted, then: Wanted, paths: Collection[str]) -> list[ev.FileResult]:
        """How far a restore came: each step of its plan by what is on the disk now."""
        made = self._between(now, then, paths)
        self._ports.entries.sweep({"", *(parent for step in made.steps for parent in parents(step.path))})
        results = []
        for step in made.steps:
            try:
                there = self._ports.entries.at(step.path)
            except AntiphonError as error:
                results.append(ev.FileResult(path=step.path, outcome="conflict", detail=str(error)))
                continue
            if there == step.then:
                results.append(ev.FileResult(path=step.path, outcome="written"))
            else:
                why = "interrupted before it was restored" if there == step.now else "changed since"
                results.append(ev.FileResult(path=step.path, outcome="conflict", detail=why))
        return results

    def _between(self, now: Wanted, then: Wanted, paths: Collection[str]) -> RestorePlan:
        objects = self._ports.objects
        rules = RulesThen(lambda path: objects.read(then.snapshot, path))
        nested = _Nested(self._ports.entries, lambda folder: any(objects.entries(then.snapshot, folder)))
        return plan(
            objects.diff(now.snapshot, then.snapshot),
            now.moment,
            then.moment,
            paths=paths,
            ignored_then=rules.hide,
            newly_nested=nested.holds,
        )

    def _check(self, path: str, now: Wanted, then: Wanted, made: RestorePlan) -> None:
        if any(selected(step.path, (path,)) for step in made.steps):
            return
        if any(selected(item.path, (path,)) for item in made.left):
            return
        known = {*made.make, *made.drop, *(now.moment.folders or ()), *(then.moment.folders or ())}
        if any(selected(folder, (path,)) for folder in known):
            return
        for wanted in (now, then):
            if any(self._ports.objects.entries(wanted.snapshot, path)):
                return
            reason = wanted.moment.why_left(path) or wanted.moment.why_left(f"{path}/")
            if reason is not None:
                raise NotFoundError(f"{path} is left out of checkpoints: {reason}")
        raise NotFoundError(
            f"neither the checkpoint nor the workspace has {path!r}; paths are relative to the workspace, and "
            "ignored files are in no checkpoint"
        )

    def _examined(self, made: RestorePlan) -> RestorePlan:
        """Takes out what would create a path where something is that no snapshot holds."""
        going = {step.path for step in made.steps if step.then is None}
        left = list(made.left)
        blocked: set[str] = set()
        steps = []
        for step in made.steps:
            why = self._in_the_way(step, going) if step.now is None else None
            if why is None:
                steps.append(step)
            elif why:
                left.append(LeftOut(step.path, why))
                blocked.add(step.path)
        if blocked:
            # What lies beneath a folder that must stay as it is, stays too.
            steps = [
                step for step in steps if step.then is not None or blocked.isdisjoint(parents(step.path))
            ]
        return replace(made, steps=tuple(steps), left=tuple(sorted(left, key=lambda item: item.path)))

    def _in_the_way(self, step: Step, going: set[str]) -> str | None:
        """Why a path cannot be created; "" when it is there as wanted already, None when it can be."""
        if not going.isdisjoint(parents(step.path)):
            return None
        try:
            stranger = self._ports.entries.stranger(step.path, going)
            if stranger is not None:
                return f"a folder now, and {stranger} in it is in no checkpoint" if stranger else None
            there = self._ports.entries.at(step.path)
        except AntiphonError as error:
            return str(error)
        if there is None:
            return None
        return "" if there == step.then else "there now, but ignored or left out, so it is not replaced"


class _Nested:
    """Repositories inside the workspace that a checkpoint holds nothing of."""

    def __init__(self, entries: UserEntries, known: Callable[[str], bool]) -> None:
        self._entries = entries
        self._known = known
        self._answers: dict[str, bool] = {}

    def holds(self, path: str) -> bool:
        return any(self._is_new(folder) for folder in parents(path))

    def _is_new(self, folder: str) -> bool:
        if folder not in self._answers:
            nested = self._entries.is_repository(folder)
            self._answers[folder] = nested and not self._known(folder)
        return self._answers[folder]
