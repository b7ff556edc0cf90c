"""Starts every ready task within the slots, and ends what can no longer run.

It owns the graph and the cancel scope of each task. How one task is carried out is the `attempts`
module's; what a run does before and after its graph is `lifecycle.py`.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import anyio
import anyio.abc

from orchestration import events as ev
from orchestration.budget import SpentError
from orchestration.errors import AntiphonError, JournalError
from orchestration.graph import TaskGraph
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.run import ENDED

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """`merged`: the result is recorded. `dead`: with its reason. `first`: the tasks `needs` (new ones)
    must be done before this one can start.
    """

    kind: Literal["merged", "dead", "first"]
    reason: str = ""
    needs: tuple[TaskSpec, ...] = ()


class Slot:
    """A task's place among those at work. A waiting task gives it back and queues for one again."""

    def __init__(self, places: anyio.Semaphore) -> None:
        self._places = places
        self.held = False

    async def take(self) -> None:
        await self._places.acquire()
        self.held = True

    def free(self) -> None:
        if self.held:
            self.held = False
            self._places.release()


class Scheduler:
    """One run of one graph; more tasks may be added while it runs."""

    def __init__(
        self, live: LiveRun, carry_out: Callable[[str], Awaitable[TaskEnd]], *, max_parallel: int
    ) -> None:
        self._places = anyio.Semaphore(max_parallel, max_value=max_parallel)
        self._slots: dict[str, Slot] = {}
        self.spent: SpentError | None = None
        self._live = live
        self._carry_out = carry_out
        self._graph = TaskGraph()
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._cancelled: set[str] = set()
        self._ended: dict[str, anyio.Event] = {}  # of delegated tasks, which their parents wait for
        self._group: anyio.abc.TaskGroup | None = None
        self._wake = anyio.Event()
        self._stopped = False

    def add(self, specs: list[TaskSpec]) -> None:
        """Adds tasks with their dependencies; tasks that have ended by now count as such."""
        tasks, joins = self._live.state.tasks, self._live.state.joins
        for spec in specs:
            self._graph.add(spec, also=joins.get(spec.id, ()))
        for spec in specs:
            status = tasks[spec.id].status if spec.id in tasks else "pending"
            if status == "merged":
                self._graph.done(spec.id)
            elif status in {"dead", "skipped"}:
                self._graph.abandon(spec.id)
        self._wake.set()

    async def run(self) -> None:
        """Returns when no task can run any more. Cancelling it cancels every task."""
        async with anyio.create_task_group() as group:
            self._group = group
            while not self._stopped and (self._scopes or self._graph.open_tasks):
                self._wake = anyio.Event()
                await self._start_ready(group)
                if not self._scopes and not self._graph.open_tasks:
                    break
                await self._wake.wait()
            self._group = None

    async def _start_ready(self, group: anyio.abc.TaskGroup) -> None:
        while (task_id := self._graph.take()) is not None:
            slot = Slot(self._places)
            await slot.take()
            if self._stopped:
                slot.free()
                return
            self._begin(group, task_id, slot)

    def _begin(self, group: anyio.abc.TaskGroup, task_id: str, slot: Slot) -> None:
        self._scopes[task_id] = anyio.CancelScope()
        self._slots[task_id] = slot
        group.start_soon(self._run_one, task_id, name=f"task {task_id}")

    async def run_child(self, spec: TaskSpec, parent: str) -> None:
        """Runs a delegated task beside the graph and returns when it has ended. Meanwhile `parent` has
        no slot; when it is cancelled, so is the child.
        """
        assert self._group is not None
        self._slots[parent].free()
        slot = Slot(self._places)
        await slot.take()
        ended = self._ended[spec.id] = anyio.Event()
        self._begin(self._group, spec.id, slot)
        try:
            await ended.wait()
        except anyio.get_cancelled_exc_class():
            if (scope := self._scopes.get(spec.id)) is not None:
                scope.cancel()
            raise
        await self._slots[parent].take()

    async def wait_without_slot(self, task_id: str, waiting: Awaitable[bool]) -> bool:
        """Awaits a person's answer while others work."""
        self._slots[task_id].free()
        answer = await waiting
        await self._slots[task_id].take()
        return answer

    async def cancel_task(self, task_id: str) -> bool:
        """Cancels one task; false when it has ended."""
        task = self._live.state.tasks.get(task_id)
        if task is None or task.status in ENDED:
            return False
        self._cancelled.add(task_id)
        scope = self._scopes.get(task_id)
        if scope is not None:
            scope.cancel()
        else:
            await self._lost(task_id, ev.TaskCancelled(task_id=task_id), "was cancelled")
        self._wake.set()
        return True

    def stop(self, spent: SpentError) -> None:
        """A budget is used up: nothing more starts, what is at work is cancelled."""
        if self.spent is None:
            self.spent = spent
        self._stopped = True
        for scope in self._scopes.values():
            scope.cancel()
        self._wake.set()

    async def _run_one(self, task_id: str) -> None:
        scope = self._scopes[task_id]
        end: TaskEnd | None = None
        try:
            with scope:
                end = await self._carry_out(task_id)
        except SpentError as spent:
            self.stop(spent)
        except JournalError:
            raise  # nothing can be recorded any more: the run stops where it is
        except AntiphonError as error:
            end = TaskEnd("dead", str(error))
        except Exception as error:  # noqa: BLE001 - one task's fault must not end its siblings
            _log.exception("task %s failed inside", task_id)
            end = TaskEnd(
                "dead", f"internal error ({type(error).__name__}: {error}); the log has the details"
            )
        finally:
            self._slots.pop(task_id).free()
            del self._scopes[task_id]
        with anyio.CancelScope(shield=True):
            await self._after(task_id, end)
        if (ended := self._ended.pop(task_id, None)) is not None:
            ended.set()
        self._wake.set()

    async def _after(self, task_id: str, end: TaskEnd | None) -> None:
        if end is None:
            await self._lost(task_id, ev.TaskCancelled(task_id=task_id), "was cancelled")
        elif end.kind == "merged":
            self._graph.done(task_id)
        elif end.kind == "first":
            for spec in end.needs:
                self._graph.add(spec)
            self._graph.put_back(task_id, [spec.id for spec in end.needs])
        else:
            attempts = self._live.state.tasks[task_id].attempt
            dead = ev.TaskDead(task_id=task_id, reason=end.reason, attempts=attempts)
            await self._lost(task_id, dead, "failed")

    async def _lost(self, task_id: str, event: ev.Event, how: str) -> None:
        skipped: list[ev.Event] = []
        if isinstance(event, ev.TaskDead) or task_id in self._cancelled:
            title = self._live.state.tasks[task_id].spec.title
            reason = event.reason if isinstance(event, ev.TaskDead) else "cancelled"
            skipped = [
                ev.TaskSkipped(
                    task_id=dependent,
                    because=task_id,
                    reason=f"needs {task_id} ({title}), which {how}: {reason}",
                )
                for dependent in self._graph.abandon(task_id)
            ]
        await self._live.record(event, *skipped)
