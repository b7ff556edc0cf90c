"""The oracles: what the disk and the model saw, kept outside the engine, and what must hold of it.

A violation is recorded with its place and never raised into the engine, which might swallow it.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from orchestration import events as ev
from orchestration.run import ENDED
from providers.messages import Request
from tests.simulation.restores import Restores

Turn = tuple[str, str, int, int]
"""Run, task, attempt, turn."""


@dataclass(slots=True)
class ModelCall:
    """One request that reached the model. `stops`: how often the run had been taken up by then."""

    process: int
    digest: str
    stops: int
    answered: bool = False


@dataclass(slots=True)
class Records:
    """`stops` counts how often the run was taken up."""

    violations: list[str] = field(default_factory=list)
    crashes: int = 0
    adoptions: int = 0
    stops: int = 0
    calls: dict[Turn, list[ModelCall]] = field(default_factory=dict)
    started_turns: set[Turn] = field(default_factory=set)
    completed: dict[Turn, ev.TurnCompleted] = field(default_factory=dict)
    started_tools: Counter[tuple[Turn, str]] = field(default_factory=Counter)
    finished_tools: Counter[tuple[Turn, str]] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    merged: dict[tuple[str, str], ev.TaskMerged] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    added: set[tuple[str, str]] = field(default_factory=set)
    intents: dict[str, tuple[ev.FileIntent, ...]] = field(default_factory=dict)
    applied: Counter[str] = field(default_factory=Counter)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    finishes: list[ev.RunFinished] = field(default_factory=list)
    restores: Restores = field(default_factory=Restores)

    def wrong(self, what: str) -> None:
        self.violations.append(what)

    # --- the disk --------------------------------------------------------------------------------

    def durable(self, run_id: str, event: ev.Event) -> None:  # noqa: C901, PLR0912 - one branch for each kind
        """An event became durable."""
        if isinstance(event, ev.RunOwned):
            self.stops += 1
        elif isinstance(event, ev.TurnStarted):
            turn = (run_id, event.task_id, event.attempt, event.turn)
            self.started_turns.add(turn)
            self._still_open(run_id, event.task_id, "a turn starts")
        elif isinstance(event, ev.TurnCompleted):
            turn = (run_id, event.task_id, event.attempt, event.turn)
            if turn in self.completed:
                self.wrong(f"{turn} is completed twice")
            self.completed[turn] = event
            if not any(call.answered for call in self.calls.get(turn, ())):
                self.wrong(f"{turn} is completed, but the model never answered it")
        elif isinstance(event, ev.ToolStarted):
            self.started_tools[_tool(run_id, event)] += 1
        elif isinstance(event, ev.ToolFinished):
            self._tool_finished(run_id, event)
        elif isinstance(event, ev.TaskMerged):
            self._still_open(run_id, event.task_id, "a task merges")
            self.merged[run_id, event.task_id] = event
            self.ended.add((run_id, event.task_id))
        elif isinstance(event, ev.TaskDead | ev.TaskSkipped | ev.TaskCancelled):
            self.ended.add((run_id, event.task_id))
            if "internal error" in getattr(event, "reason", ""):
                self.wrong(f"{event.task_id}: {getattr(event, 'reason', '')}")
        elif isinstance(event, ev.TaskAdded):
            if (run_id, event.task.id) in self.added:
                self.wrong(f"{event.task.id} is added twice")
            self.added.add((run_id, event.task.id))
        elif isinstance(event, ev.DecisionRecorded | ev.UndoRecorded):
            name = event.decision_id if isinstance(event, ev.DecisionRecorded) else event.undo_id
            if name in self.intents:
                self.wrong(f"decision {name} is recorded twice")
            self.intents[name] = event.files
        elif isinstance(event, ev.DecisionApplied):
            self._applied(event)
        elif isinstance(
            event, ev.SnapshotTaken | ev.CheckpointTaken | ev.RestoreRecorded | ev.RestoreFinished
        ):
            self.violations.extend(self.restores.durable(run_id, event))
        elif isinstance(event, ev.RunFinished):
            self._finished(run_id, event)

    def _tool_finished(self, run_id: str, event: ev.ToolFinished) -> None:
        key = _tool(run_id, event)
        self.finished_tools[key] += 1
        if self.finished_tools[key] > 1:
            self.wrong(f"{key} has two results")
        answer = self.completed.get(key[0])
        if answer is None or event.call_id not in {call.id for call in answer.message.tool_calls}:
            self.wrong(f"{key} has a result before its call is durable")

    def _still_open(self, run_id: str, task_id: str, what: str) -> None:
        if (run_id, task_id) in self.merged:
            self.wrong(f"{what} in {task_id}, which was merged before")

    def _applied(self, event: ev.DecisionApplied) -> None:
        self.applied[event.decision_id] += 1
        if self.applied[event.decision_id] > 1:
            self.wrong(f"the outcome of decision {event.decision_id} is recorded twice")
        if event.decision_id not in self.intents:
            self.wrong(f"decision {event.decision_id} has an outcome and no intent")
        for result in event.files:
            written = self.writes[event.decision_id, result.path]
            if result.outcome == "written" and not written:
                self.wrong(f"{result.path} is said to be written by {event.decision_id}, but was not")
            if result.outcome == "conflict" and written:
                self.wrong(f"{result.path} is said to be refused by {event.decision_id}, but was written")
            self.outcomes[event.decision_id, result.path] = result.outcome

    def _finished(self, run_id: str, event: ev.RunFinished) -> None:
        self.finishes.append(event)
        paid = sum(
            (done.usage.input_tokens or 0) + (done.usage.output_tokens or 0)
            for turn, done in self.completed.items()
            if turn[0] == run_id
        )
        if event.usage.total_tokens != paid:
            self.wrong(f"the run says {event.usage.total_tokens} tokens; its answers have {paid}")
        for reason in event.reasons:
            if "internal error" in reason:
                self.wrong(reason)

    # --- the model -------------------------------------------------------------------------------

    def called(self, process: int, *, owner: bool, request: Request) -> ModelCall:
        labels = request.labels
        turn = (labels.run_id, labels.task_id, labels.attempt, labels.turn)
        digest = hashlib.sha256(msgspec.json.encode(request.messages)).hexdigest()
        if turn not in self.started_turns:
            self.wrong(f"{turn} reached the model before its intent was durable")
        if not owner:
            self.wrong(f"{turn} reached the model from process {process}, which does not own the run")
        if turn in self.completed:
            self.wrong(f"{turn} is paid for again though its answer is durable")
        for earlier in self.calls.get(turn, ()):
            if earlier.stops == self.stops:
                self.wrong(f"{turn} is asked twice and nothing stopped the run in between")
            if earlier.digest != digest:
                self.wrong(f"{turn} is asked again in other words")
        call = ModelCall(process, digest, self.stops)
        self.calls.setdefault(turn, []).append(call)
        return call

    # --- the user's files and the commands -------------------------------------------------------

    def wrote(self, path: str, before: bytes | None, after: bytes | None) -> None:
        """A user's file is changed; a decision must have said so before."""
        change = (_sha(before), _sha(after))
        for name, files in reversed(self.intents.items()):
            if self.applied[name]:
                continue  # its outcome is known: it writes no more
            for intent in files:
                if intent.path == path and (intent.before, intent.after) == change:
                    self.writes[name, path] += 1
                    if self.writes[name, path] > 1:
                        self.wrong(f"{path} is written twice by decision {name}")
                    return
        if why := self.restores.wrote(path, change):
            self.wrong(why)
        elif why is None:
            self.wrong(
                f"{path} is written, and no decision or restore that is durable says so (or it was carried out)"
            )

    def ran(self, run_id: str, task: str, command: str) -> None:
        """A command starts; its call must be durable, and not have been started before."""
        self.commands[command] += 1
        begun = sum(count for (turn, _), count in self.started_tools.items() if turn[:2] == (run_id, task))
        if not begun:
            self.wrong(f"{command!r} of {task} started before its intent was durable")

    # --- the end ---------------------------------------------------------------------------------

    def close(self, tasks: dict[str, str], run_id: str) -> None:
        """`tasks` are the run's tasks with their status, after everything has ended."""
        for task, status in tasks.items():
            if status not in ENDED:
                self.wrong(f"the run has ended and {task} is {status}")
            if (status == "merged") != ((run_id, task) in self.merged):
                self.wrong(f"{task} is {status}, the disk says otherwise")
        for name in self.intents:
            if not self.applied[name]:
                self.wrong(f"decision {name} never got an outcome")
        for name in self.restores.open():
            self.wrong(f"restore {name} never got an outcome")
        for key, count in self.started_tools.items():
            if count > 1:
                self.wrong(f"{key} was started {count} times")
        self._every_call_has_a_result(run_id)

    def _every_call_has_a_result(self, run_id: str) -> None:
        """Of every turn after which the model was asked again, or the task merged."""
        last: dict[tuple[str, int], int] = {}
        for turn in sorted(self.completed):
            last[turn[1], turn[2]] = turn[3]
        for turn, answer in sorted(self.completed.items()):
            merged = self.merged.get((run_id, turn[1]))
            ends_merged = merged is not None and merged.attempt == turn[2]
            if turn[3] == last[turn[1], turn[2]] and not ends_merged:
                continue  # nothing was asked after it: the attempt failed or was cancelled here
            for call in answer.message.tool_calls:
                if not self.finished_tools[turn, call.id]:
                    self.wrong(f"call {call.id} of {turn} never got a result")


def _tool(run_id: str, event: ev.ToolStarted | ev.ToolFinished) -> tuple[Turn, str]:
    return (run_id, event.task_id, event.attempt, event.turn), event.call_id


def _sha(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
