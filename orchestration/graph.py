"""The task graph: validation, the ready set, who depends on whom, the critical path. Pure.

Readiness is kept as counters, so starting and ending every task of a graph costs O(tasks + edges) in
all, not a scan per event.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from orchestration.graph_model import TaskSpec

PLANNED_TASKS_MAX = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def problems(
    tasks: Sequence[TaskSpec], *, roles: Collection[str], limit: int | None = PLANNED_TASKS_MAX
) -> tuple[str, ...]:
    """Why `tasks` is no valid graph, in words that a model or a person can act on; empty when it is.
    `limit`: the most tasks allowed, None for any number.
    """
    if not tasks:
        return ("the plan has no tasks; give at least one",)
    if limit is not None and len(tasks) > limit:
        return (f"the plan has {len(tasks)} tasks; at most {limit} are allowed: combine small ones",)
    found: list[str] = []
    seen: set[str] = set()
    for task in tasks:
        if not _ID.fullmatch(task.id):
            found.append(
                f"task id {task.id!r} is not usable: use 1 to 80 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit"
            )
        if task.id in seen:
            found.append(f"two tasks have the id {task.id!r}; ids must be unique")
        seen.add(task.id)
        if not task.title.strip():
            found.append(f"task {task.id!r} has no title")
        if not task.instructions.strip():
            found.append(f"task {task.id!r} has no instructions")
        if task.role not in roles:
            found.append(
                f"task {task.id!r} names the role {task.role!r}; the roles are {', '.join(sorted(roles))}"
            )
        found.extend(
            f"task {task.id!r} names the test {test!r}, which leads outside the workspace; name it relative to the root"
            for test in task.tests
            if _leaves(test)
        )
    for task in tasks:
        found.extend(
            f"task {task.id!r} depends on {needed!r}, which is no task of the plan"
            for needed in task.depends_on
            if needed not in seen
        )
    if not found and (cycle := find_cycle(tasks)):
        found.append(f"the tasks depend on each other in a circle: {' -> '.join(cycle)}")
    return tuple(found)


def _leaves(test: str) -> bool:
    path = test.partition("::")[0]
    return path.startswith("/") or ".." in path.split("/")


def find_cycle(tasks: Iterable[TaskSpec]) -> tuple[str, ...]:
    """The ids of one cycle, first repeated at the end; empty when there is none. Iterative: a plan of
    thousands of tasks in a row must not exhaust the stack.
    """
    needs = {task.id: list(task.depends_on) for task in tasks}
    done: set[str] = set()
    for root in needs:
        if root in done:
            continue
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                done.add(node)
                continue
            if node in on_path:
                return (*path[path.index(node) :], node)
            if node in done:
                continue
            path.append(node)
            on_path.add(node)
            stack.append((node, True))
            stack.extend((needed, False) for needed in reversed(needs.get(node, [])))
    return ()


class TaskGraph:
    """Which tasks may start now. The scheduler is its one owner.

    A task is *ready* once every dependency is done. `done` and `abandon` end a task; `abandon` also
    ends everything that depends on it, directly or not.
    """

    def __init__(self, tasks: Iterable[TaskSpec] = ()) -> None:
        self._waiting: dict[str, int] = {}
        self._dependents: dict[str, list[str]] = {}
        self._done: set[str] = set()
        self._open: set[str] = set()
        self._ended: set[str] = set()
        self._ready: deque[str] = deque()
        specs = list(tasks)
        for spec in specs:
            self._dependents.setdefault(spec.id, [])
        for spec in specs:
            self.add(spec)

    def add(self, spec: TaskSpec, also: Iterable[str] = ()) -> None:
        """Adds a task that needs its dependencies, and the tasks `also`."""
        self._dependents.setdefault(spec.id, [])
        needs = dict.fromkeys((*spec.depends_on, *also))
        open_needs = [needed for needed in needs if needed not in self._done]
        for needed in open_needs:
            self._dependents.setdefault(needed, []).append(spec.id)
        self._waiting[spec.id] = len(open_needs)
        if spec.id not in self._ended:
            self._open.add(spec.id)
        if not open_needs:
            self._ready.append(spec.id)

    def take(self) -> str | None:
        """The next ready task, in plan order, or None."""
        while self._ready:
            task_id = self._ready.popleft()
            if task_id not in self._ended:
                return task_id
        return None

    def put_back(self, task_id: str, needs: Sequence[str]) -> None:
        """A started task turned out to need `needs` first: it becomes ready again after them."""
        open_needs = [needed for needed in dict.fromkeys(needs) if needed not in self._done]
        for needed in open_needs:
            self._dependents.setdefault(needed, []).append(task_id)
        self._waiting[task_id] = len(open_needs)
        if not open_needs:
            self._ready.append(task_id)

    def done(self, task_id: str) -> None:
        self._done.add(task_id)
        self._end(task_id)
        for dependent in self._dependents.get(task_id, ()):
            self._waiting[dependent] -= 1
            if self._waiting[dependent] == 0:
                self._ready.append(dependent)

    def abandon(self, task_id: str) -> tuple[str, ...]:
        """Ends `task_id` without a result. Returns every task that can no longer run, nearest first."""
        self._end(task_id)
        lost: list[str] = []
        queue = deque([task_id])
        while queue:
            for dependent in self._dependents.get(queue.popleft(), ()):
                if dependent not in self._ended:
                    self._end(dependent)
                    lost.append(dependent)
                    queue.append(dependent)
        return tuple(lost)

    @property
    def open_tasks(self) -> int:
        return len(self._open)

    def _end(self, task_id: str) -> None:
        self._ended.add(task_id)
        self._open.discard(task_id)


def leaves(tasks: Mapping[str, TaskSpec]) -> tuple[str, ...]:
    """Ids that nothing among `tasks` depends on, in order."""
    needed = {name for task in tasks.values() for name in task.depends_on}
    return tuple(task_id for task_id in tasks if task_id not in needed)


def critical_path(tasks: Sequence[TaskSpec], cost: Callable[[TaskSpec], float]) -> float:
    """The cost of the dearest chain of dependencies: a lower bound of any schedule. `tasks` is acyclic."""
    by_id = {task.id: task for task in tasks}
    best: dict[str, float] = {}
    graph = TaskGraph(tasks)
    while (task_id := graph.take()) is not None:
        task = by_id[task_id]
        best[task_id] = cost(task) + max((best[needed] for needed in task.depends_on), default=0.0)
        graph.done(task_id)
    return max(best.values(), default=0.0)
