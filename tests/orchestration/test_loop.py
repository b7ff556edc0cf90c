"""The agent loop over the scripted provider and the journal in memory: what is recorded, in which order,
and what a resumed conversation does again.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from orchestration import events as ev
from orchestration.agents.loop import Talk, TalkEnd, converse
from orchestration.agents.tools.catalogue import TOOLS, pinned_specs, schemas
from orchestration.agents.tools.contract import CommandResult, ToolOutcome, Workbench
from orchestration.budget import Spending, SpentError
from orchestration.fold import fold, transcript
from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.objects import Change
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.task_tree import TaskTree
from orchestration.workspace.tree_codec import EMPTY_TREE
from providers.errors import OverloadedError, ProviderError
from providers.messages import Answer, Message, Request, RequestLabels, ToolCall, assistant, user
from providers.usage import Usage
from tests.orchestration.surroundings import InlineExecutor

pytestmark = pytest.mark.anyio


class Notes:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.deltas: list[str] = []

    async def record(self, *events: ev.Event) -> None:
        self.events.extend(events)

    def delta(self, task_id: str, text: str, *, restart: bool = False) -> None:
        self.deltas.append(f"{task_id}:{text}")

    def waiting(self, task_id: str, seconds: float, reason: str) -> None:
        self.deltas.append(f"{task_id} waits {seconds:g} s for {reason}")

    def records(self) -> list[ev.Record]:
        created = ev.PlanAccepted(tasks=())
        return [ev.Record(n, 0.0, event) for n, event in enumerate([created, *self.events], 1)]


class Answers:
    """A provider that gives the next answer of a list, and keeps the requests it got."""

    name = "answers"

    def __init__(self, *answers: Message | ProviderError, usage: Usage | None = None) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.usage = usage or Usage(10, 5)

    def profile(self, model: str) -> Any:
        raise NotImplementedError(model)

    async def complete(self, request: Request, *, on_delta: Any = None) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return Answer(answer, "tool_calls" if answer.tool_calls else "end", self.usage)

    async def aclose(self) -> None:
        pass


def call(name: str, number: int = 1, **arguments: Any) -> ToolCall:
    return ToolCall(f"c{number}", name, msgspec.json.encode(arguments).decode())


def talk(
    provider: Answers, notes: Notes, *, files: dict[str, bytes] | None = None, limits: ev.Budget | None = None
) -> Talk:
    store = MemoryObjects()
    tree = store.write(EMPTY_TREE, {path: Change(data) for path, data in (files or {}).items()})

    async def command(text: str, timeout_s: float | None) -> CommandResult:
        return CommandResult(text=f"ran {text}", is_error=False)

    async def delegate(title: str, instructions: str, role: str) -> ToolOutcome:
        return ToolOutcome(f"{role} did {title}")

    async def ask(subject: str, detail: str) -> bool:
        return False

    names = ["read_file", "edit_file", "write_file", "run_command", "finish"]
    return Talk(
        recorder=notes,
        provider=provider,
        model="m",
        labels=RequestLabels("run-1", "t", "title", "coder"),
        system="system text",
        system_digest="d",
        opening=(user("do it"),),
        tools={name: TOOLS[name] for name in names},
        specs=tuple(pinned_specs(schemas())[name] for name in names),
        bench=Workbench(
            tree=TaskTree(store, tree),
            guard=PathGuard(Path("/nowhere")),
            left_out={},
            executor=InlineExecutor(),
            run_command=command,
            delegate=delegate,
            ask=ask,
        ),
        spending=Spending(limits or ev.Budget(), Usage()),
        turns_max=8,
    )


def kinds(notes: Notes) -> list[str]:
    return [type(event).__name__ for event in notes.events]


async def test_a_turn_is_recorded_intent_first_and_result_before_use() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", call("write_file", path="a.txt", content="x\n")),
        assistant("", call("finish", summary="done")),
    )
    made = talk(provider, notes)
    end = await converse(made)
    assert (end.kind, end.reason) == ("finished", "done")
    assert made.bench.tree.read("a.txt") == b"x\n"
    assert kinds(notes) == ["TurnStarted", "TurnCompleted", "ToolFinished", "TurnStarted", "TurnCompleted"]
    assert [type(event).__name__ for event in end.pending] == ["ToolFinished"]
    written = notes.events[2]
    assert isinstance(written, ev.ToolFinished)
    assert written.tree == made.bench.tree.flush()


async def test_an_effect_has_an_intent_of_its_own() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", call("run_command", command="make")), assistant("", call("finish", summary="ok"))
    )
    await converse(talk(provider, notes))
    assert kinds(notes)[:4] == ["TurnStarted", "TurnCompleted", "ToolStarted", "ToolFinished"]


async def test_each_request_begins_with_the_one_before_byte_for_byte() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", call("write_file", path="a", content="1")),
        assistant("", call("read_file", path="a")),
        assistant("", call("finish", summary="ok")),
    )
    await converse(talk(provider, notes))
    encoded = [msgspec.json.encode(request.messages)[:-1] for request in provider.requests]
    assert encoded[1].startswith(encoded[0])
    assert encoded[2].startswith(encoded[1])
    assert len({msgspec.json.encode(request.tools) for request in provider.requests}) == 1


async def test_mistakes_go_back_to_the_model_as_text_that_names_the_mend() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", ToolCall("c1", "read_file", "{broken"), call("sing", 2), call("read_file", 3)),
        assistant("", call("read_file", path="missing.py")),
        assistant("", call("write_file", path="../out", content="x")),
        assistant("", call("finish", summary="ok")),
    )
    await converse(talk(provider, notes))
    texts = [event.text for event in notes.events if isinstance(event, ev.ToolFinished)]
    assert "not valid JSON" in texts[0]
    assert "no tool 'sing'" in texts[1]
    assert "required field `path`" in texts[2]
    assert "no file missing.py" in texts[3]
    assert "outside" in texts[4]


async def test_finish_after_a_failed_call_of_the_same_turn_does_not_count() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", call("read_file", path="missing"), call("finish", 2, summary="blind")),
        assistant("", call("finish", 3, summary="seen")),
    )
    end = await converse(talk(provider, notes))
    assert end.reason == "seen"


async def test_the_turn_limit_the_stuck_agent_and_the_provider_end_it() -> None:
    reading = [assistant("", call("read_file", n, path=f"f{n}")) for n in range(8)]
    limited = await converse(talk(Answers(*reading), Notes(), files={f"f{n}": b"x" for n in range(8)}))
    assert (limited.kind, limited.reason) == ("turn_limit", "the task used its 8 turns")
    same = [assistant("", call("read_file", 1, path="f")) for _ in range(8)]
    stuck = await converse(talk(Answers(*same), Notes(), files={"f": b"x"}))
    assert stuck.kind == "stuck"
    notes = Notes()
    failed = await converse(talk(Answers(OverloadedError("busy")), notes))
    assert (failed.kind, failed.reason, failed.retryable) == ("provider", "busy", False)
    assert kinds(notes) == ["TurnStarted", "TurnFailed"]


async def test_a_used_up_budget_starts_no_further_call() -> None:
    notes = Notes()
    provider = Answers(
        assistant("", call("write_file", path="a", content="1")), assistant("", call("finish", summary="x"))
    )
    with pytest.raises(SpentError, match="budget of 12 tokens"):
        await converse(talk(provider, notes, limits=ev.Budget(tokens=12)))
    assert len(provider.requests) == 1


async def test_unknown_usage_is_estimated_for_the_limit() -> None:
    provider = Answers(
        assistant("", call("write_file", path="a", content="x" * 400)),
        assistant("", call("finish", summary="x")),
        usage=Usage(None, None, None, None, None),
    )
    with pytest.raises(SpentError):
        await converse(talk(provider, Notes(), limits=ev.Budget(tokens=100)))


@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_resumed_conversation_goes_on_where_its_records_end(cut: int) -> None:
    """Cut after every event: the model is asked again only for the call that was open, tools whose
    result is recorded are not run again, and the request that follows is the very same.
    """
    script = (
        assistant("", call("write_file", 1, path="a", content="1\n")),
        assistant("look", call("read_file", 2, path="a"), call("run_command", 3, command="make")),
        assistant("", call("edit_file", 4, path="a", edits=[{"search": "1", "replace": "2"}])),
        assistant("", call("finish", 5, summary="done")),
    )
    whole = Notes()
    first = Answers(*script)
    ended = await converse(talk(first, whole))
    events = [*whole.events, *ended.pending]
    assert len(events) == 14
    kept = Notes()
    kept.events = events[:cut]
    asked = sum(isinstance(event, ev.TurnCompleted) for event in kept.events)
    again = Answers(*script[asked:])
    made = talk(again, kept)
    resumed = transcript(kept.records(), "t")
    assert resumed is not None
    started = {event.call_id for event in kept.events if isinstance(event, ev.ToolStarted)}
    replay_tree(made, kept.events)
    end = await converse(replace(made, resumed=resumed, interrupted=frozenset(started)))
    assert end.kind == "finished"
    assert made.bench.tree.read("a") == b"2\n"
    assert len(again.requests) == len(script) - asked
    for repeated, original in zip(again.requests, first.requests[asked:], strict=True):
        if not started - {result.call_id for result in finished(kept.events[:cut])}:
            assert msgspec.json.encode(repeated.messages) == msgspec.json.encode(original.messages)


def finished(events: list[ev.Event]) -> list[ev.ToolFinished]:
    return [event for event in events if isinstance(event, ev.ToolFinished)]


def replay_tree(made: Talk, events: list[ev.Event]) -> None:
    """The store of the new bench is empty, so the recorded edits are made again by hand."""
    done = {event.call_id for event in finished(events)}
    if "c1" in done:
        made.bench.tree.write("a", b"1\n")
    if "c4" in done:
        made.bench.tree.write("a", b"2\n")


async def test_text_without_a_call_finishes_unless_a_tool_is_required() -> None:
    end = await converse(talk(Answers(assistant("all done")), Notes()))
    assert (end.kind, end.reason, end.final) == ("finished", "all done", None)
    provider = Answers(*(assistant("chat") for _ in range(3)))
    required = await converse(replace(talk(provider, Notes()), required="finish"))
    assert required.final is None
    assert len(provider.requests) == 3
    assert "Call `finish`" in provider.requests[1].messages[-1].text


async def test_cancelling_ends_the_open_call() -> None:
    class Hanging(Answers):
        async def complete(self, request: Request, *, on_delta: Any = None) -> Answer:
            await anyio.sleep_forever()
            raise AssertionError("unreachable")

    notes = Notes()
    ends: list[TalkEnd] = []

    async def run() -> None:
        ends.append(await converse(talk(Hanging(), notes)))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        while not notes.events:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert ends == []
    assert kinds(notes) == ["TurnStarted"]


def test_the_fold_ignores_events_of_unknown_tasks() -> None:
    state = fold("run-1", [ev.Record(1, 1.0, ev.TurnStarted(task_id="x", attempt=1, turn=1))])
    assert state.tasks == {}
    assert state.last_seq == 1
