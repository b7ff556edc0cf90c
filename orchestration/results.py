"""Joins the results of tasks: what a task starts from, and the final tree of a run.

A result is a commit whose ancestors are what its task started from, so the store finds the true common
ancestor of any two. Where results conflict, a task of kind `conflict` joins them; it starts from the
merge with conflict markers and everything that needs the join depends on it.
"""

from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.workspace.objects import Conflict, Merge

FINAL = ""


class Results:
    """One for a run. Merges of the same results are made once."""

    def __init__(self, ports: EnginePorts, live: LiveRun, definitions: Definitions) -> None:
        self._ports = ports
        self._live = live
        self._definitions = definitions
        self._merged: dict[tuple[str, ...], Merge] = {}
        self._given_out = 0

    async def start_of(self, spec: TaskSpec) -> str | TaskSpec:
        """The snapshot `spec` starts from, or the conflict task that has to come first."""
        joined = await self._join(self._needs(spec))
        if joined.conflicts and spec.kind != "conflict":
            return self._conflict_task(spec.id, joined, self._needs(spec))
        return joined.snapshot

    async def final(self) -> str | TaskSpec:
        """The snapshot with every merged task in it, or the conflict task that has to come first."""
        ends = self.ends()
        joined = await self._join(ends)
        if joined.conflicts:
            return self._conflict_task(FINAL, joined, ends)
        return joined.snapshot

    async def compatible(self) -> tuple[str, tuple[str, ...]]:
        """The snapshot with every merged task in it that joins without a conflict, earlier ones first, and
        the tasks whose work had to be left out of it.
        """
        inside: tuple[str, ...] = ()
        left_out: list[str] = []
        for task_id in self._earlier_first():
            if (await self._join((*inside, task_id))).conflicts:
                left_out.append(task_id)
            else:
                inside = (*inside, task_id)
        return (await self._join(inside)).snapshot, tuple(left_out)

    def _earlier_first(self) -> list[str]:
        """Merged tasks, each after those that it builds on."""
        tasks = self._live.state.tasks
        merged = {
            name: task.spec
            for name, task in tasks.items()
            if task.status == "merged" and task.spec.kind != "delegated"
        }
        ordered: dict[str, None] = {}
        waiting = list(reversed(merged))
        while waiting:
            name = waiting[-1]
            first = [need for need in self._needs(merged[name]) if need in merged and need not in ordered]
            if first and name not in ordered:
                waiting.extend(first)
            else:
                ordered[waiting.pop()] = None
        return list(ordered)

    def ends(self) -> tuple[str, ...]:
        """Merged tasks that no other merged task builds on."""
        tasks = self._live.state.tasks
        merged = [
            task.spec for task in tasks.values() if task.status == "merged" and task.spec.kind != "delegated"
        ]
        used = {name for spec in merged for name in self._needs(spec)}
        return tuple(spec.id for spec in merged if spec.id not in used)

    def _needs(self, spec: TaskSpec) -> tuple[str, ...]:
        """What a task builds on: its dependencies, and conflict tasks that were put before it."""
        return (*spec.depends_on, *self._live.state.joins.get(spec.id, ()))

    async def _join(self, task_ids: tuple[str, ...]) -> Merge:
        state = self._live.state
        snapshots = tuple(sorted({state.tasks[task_id].snapshot for task_id in task_ids})) or (state.base,)
        known = self._merged.get(snapshots)
        if known is None:
            if len(snapshots) == 1:
                known = Merge(snapshots[0])
            else:
                known = await self._ports.objects.merge(snapshots, f"merge for run {state.run_id}")
            self._merged[snapshots] = known
        return known

    def _conflict_task(self, parent: str, joined: Merge, needs: tuple[str, ...]) -> TaskSpec:
        paths = sorted({conflict.path for conflict in joined.conflicts})
        recorded = sum(task.spec.kind == "conflict" for task in self._live.state.tasks.values())
        # Two tasks may need a join at the same moment, before either is recorded.
        number = self._given_out = 1 + max(recorded, self._given_out)
        first: Conflict = joined.conflicts[0]
        return TaskSpec(
            id=f"merge-{number}",
            title=f"Join conflicting work in {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}",
            instructions=self._definitions.prompt(
                "conflict",
                paths="\n".join(f"- {path}" for path in paths),
                ours=self._titles(first.ours_snapshots),
                theirs=self._titles((first.theirs_snapshot,)),
            ),
            role="coder",
            depends_on=needs,
            paths=tuple(paths),
            kind="conflict",
            parent=parent or None,
        )

    def _titles(self, snapshots: tuple[str, ...]) -> str:
        titles = [
            f"“{task.spec.title}”" for task in self._live.state.tasks.values() if task.snapshot in snapshots
        ]
        return ", ".join(titles) or "earlier tasks"
