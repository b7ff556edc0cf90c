"""A run that this process carries out, watched to its end: shown, asked about, cancelled by Ctrl-C.

The state shown is this module's own fold of the events it was given: nothing else is asked of the engine
while the run goes on.
"""

import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from orchestration import events as ev
from orchestration.commands import CancelRun
from orchestration.engine import EngineFront
from orchestration.errors import AntiphonError
from orchestration.events import Record
from orchestration.fold import apply
from orchestration.lifecycle import SNAPSHOT
from orchestration.run import RunState
from server.terminal.board import board
from server.terminal.following import event_json, event_lines, wait_line
from server.terminal.lines import line
from server.terminal.live import LiveScreen
from server.terminal.terminal import Terminal
from server.waits import Wait, Waits

REDRAW_S = 0.125  # at most so often; a busy run makes hundreds of events a second
_CLOCK_S = 1.0


class LeftAtOnceError(AntiphonError):
    """Raised at the second Ctrl-C. No KeyboardInterrupt: the event loop would drop everything for that one."""

    exit_code = 130


class View(Protocol):
    def event(self, record: Record, state: RunState) -> None: ...

    def progress(self, text: str) -> None: ...

    def wait(self, task_id: str, wait: Wait) -> None:
        """A task begins to wait for a limit."""

    def redraw(self, state: RunState, waits: Waits) -> None: ...

    def pause(self) -> None: ...


class JsonView:
    """Every event as a line, but `run_finished`: that one is the caller's last line."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def event(self, record: Record, state: RunState) -> None:
        if not isinstance(record.event, ev.RunFinished):
            self._terminal.emit_raw(event_json(state.run_id, record))

    def progress(self, text: str) -> None: ...

    def wait(self, task_id: str, wait: Wait) -> None: ...

    def redraw(self, state: RunState, waits: Waits) -> None: ...

    def pause(self) -> None: ...


class LineView:
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def event(self, record: Record, state: RunState) -> None:
        self._terminal.lines(event_lines(record, state))

    def progress(self, text: str) -> None: ...

    def wait(self, task_id: str, wait: Wait) -> None:
        self._terminal.lines([wait_line(task_id, wait, time.time())])

    def redraw(self, state: RunState, waits: Waits) -> None: ...

    def pause(self) -> None: ...


class ScreenView:
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._screen = LiveScreen(terminal)
        self._resting = False
        self._progress = ""

    def progress(self, text: str) -> None:
        self._progress = text

    def event(self, record: Record, state: RunState) -> None: ...

    def wait(self, task_id: str, wait: Wait) -> None: ...

    def redraw(self, state: RunState, waits: Waits) -> None:
        if self._resting or self._terminal.closed:
            return
        terminal = self._terminal
        try:
            lines = board(
                state,
                time.time(),
                waits=waits.now(time.time()),
                columns=terminal.columns - 1,
                rows=terminal.rows - 1,
                unicode=terminal.unicode,
            )
            if self._progress and not state.base:
                lines = [*lines, line((self._progress, "dim"))]
            self._screen.draw(lines)
        except BrokenPipeError:
            terminal.closed = True

    def pause(self) -> None:
        self._resting = True
        with suppress(BrokenPipeError):
            self._screen.pause()

    def resume(self) -> None:
        self._resting = False


def view_for(terminal: Terminal) -> View:
    if terminal.json:
        return JsonView(terminal)
    return ScreenView(terminal) if terminal.animated else LineView(terminal)


Asker = Callable[[ev.ApprovalRequested, RunState], Awaitable[None]]


class Watch:
    """Follows one run. `finished` is its last record once `follow` has returned."""

    def __init__(self, engine: EngineFront, run_id: str, terminal: Terminal, *, after: int = 0) -> None:
        self.state = RunState(run_id)
        self.finished: Record | None = None
        self.view = view_for(terminal)
        self._engine = engine
        self._terminal = terminal
        self._after = after
        self._dirty = anyio.Event()
        self._waits = Waits()
        self._questions: dict[str, anyio.CancelScope] = {}
        self._one_at_a_time = anyio.Lock()

    async def follow(self, ask: Asker | None = None) -> RunState:
        """Until the run has finished. `ask` answers approvals, one at a time; without it nobody is asked."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._signals)
            tasks.start_soon(self._redraw)
            await self._events(tasks, ask)
            tasks.cancel_scope.cancel()
        self.view.pause()
        return self.state

    async def _events(self, tasks: TaskGroup, ask: Asker | None) -> None:
        leaving = False
        async for item in self._engine.subscribe(self.state.run_id):
            wait = self._waits.take(item)
            if not isinstance(item, Record):
                if wait is not None:
                    self.view.wait(item.task_id, wait)
                    self._dirty.set()
                elif item.task_id == SNAPSHOT:
                    self.view.progress(item.text)
                    self._dirty.set()
                continue
            apply(self.state, item)
            if item.seq > self._after:
                self._take(item, tasks, ask)
            if self._terminal.closed and not leaving:
                # Nobody watches what is being paid for any more; the run can be resumed.
                leaving = True
                tasks.start_soon(self._cancel, "its reader went away")
            if isinstance(item.event, ev.RunFinished) and item.seq > self._after:
                self.finished = item
                return

    def _take(self, record: Record, tasks: TaskGroup, ask: Asker | None) -> None:
        self.view.event(record, self.state)
        self._dirty.set()
        event = record.event
        if isinstance(event, ev.ApprovalRequested) and ask is not None:
            tasks.start_soon(self._question, event, ask)
        elif isinstance(event, ev.ApprovalResolved) and event.approval_id in self._questions:
            self._questions[event.approval_id].cancel()  # somebody else was faster

    async def _question(self, event: ev.ApprovalRequested, ask: Asker) -> None:
        async with self._one_at_a_time:
            if event.approval_id not in self.state.approvals:
                return
            with anyio.CancelScope() as scope:
                self._questions[event.approval_id] = scope
                self.view.pause()
                await ask(event, self.state)
            del self._questions[event.approval_id]
            if isinstance(self.view, ScreenView):
                self.view.resume()
            self._dirty.set()

    async def _redraw(self) -> None:
        while True:
            self._dirty = anyio.Event()
            self.view.redraw(self.state, self._waits)
            await anyio.sleep(REDRAW_S)
            with anyio.move_on_after(_CLOCK_S):
                await self._dirty.wait()

    async def _signals(self) -> None:
        """The first Ctrl-C cancels the run and lets it end readably; the second leaves at once."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
            asked = False
            async for number in received:
                if asked:
                    self.view.pause()
                    raise LeftAtOnceError("left at once; the run can be resumed")
                asked = True
                if number == signal.SIGINT:
                    self.view.pause()
                    self._terminal.remark("cancelling; Ctrl-C again leaves at once")
                    if isinstance(self.view, ScreenView):
                        self.view.resume()
                await self._cancel(signal.Signals(number).name)

    async def _cancel(self, why: str) -> None:
        await self._engine.submit(CancelRun(run_id=self.state.run_id, by=why))
