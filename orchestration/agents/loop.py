"""The agent loop: ask the model, run the tools it calls, until it finishes or cannot go on.

The transcript is the state. Before each call its intent is durable (`turn_started`), its answer is
durable before a tool runs (`turn_completed`), and an effect outside the tree in memory has an intent of
its own (`tool_started`). A loop that is given a transcript goes on where that ends. What a task is,
gates and retries are not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

import msgspec

from orchestration import events as ev
from orchestration.agents.guards import LoopGuard, Observation
from orchestration.agents.tools.contract import ParsedCall, Tool, ToolOutcome, Workbench, parse_call, run_call
from orchestration.budget import Spending
from orchestration.redaction import Redaction
from orchestration.run import Transcript
from providers.base import ModelProvider
from providers.errors import ContextOverflowError, ProviderError, RefusalError
from providers.messages import (
    Answer,
    Message,
    Request,
    RequestLabels,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    tool_results,
    user,
)

OUTPUT_LIMIT = 60_000
NUDGES = 2
_INTERRUPTED = (
    "This call was interrupted when the program stopped; whether it had an effect is not known. "
    "Check before you repeat it."
)


class Recorder(Protocol):
    """What the loop needs of a live run."""

    async def record(self, *events: ev.Event) -> None: ...
    def delta(self, task_id: str, text: str, *, restart: bool = False) -> None: ...
    def waiting(self, task_id: str, seconds: float, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One attempt's conversation: who talks, with which tools, from which opening messages. `prelude` is
    recorded with the first turn. `required`: the tool that must end it; a plain answer is then asked
    again, a few times.
    """

    recorder: Recorder
    provider: ModelProvider
    model: str
    labels: RequestLabels
    system: str
    system_digest: str
    opening: tuple[Message, ...]
    tools: Mapping[str, Tool]
    specs: tuple[ToolSpec, ...]
    bench: Workbench
    spending: Spending
    turns_max: int
    resumed: Transcript | None = None
    interrupted: frozenset[str] = frozenset()
    prelude: tuple[ev.Event, ...] = ()
    required: str = ""
    redaction: Redaction = field(default_factory=Redaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkEnd:
    """How it ended. `pending` are events of the last turn that the caller records with what follows.
    `final` is the parsed call that finished (None: a plain text answer).
    """

    kind: Literal["finished", "stuck", "turn_limit", "refused", "provider"]
    reason: str = ""
    retryable: bool = True
    pending: tuple[ev.Event, ...] = ()
    final: ParsedCall | None = None


@dataclass(slots=True)
class _Progress:
    messages: list[Message]
    turn: int = 0
    pending: list[ev.Event] = field(default_factory=list)
    nudges: int = 0


async def converse(talk: Talk) -> TalkEnd:
    """Runs turns until the model calls `finish` (or answers without a call), is stuck, uses up its
    turns, or the provider fails. Raises BudgetExhaustedError before a call that may not start any more.
    """
    guard = LoopGuard()
    progress, remark = _begin(talk)
    if talk.resumed is not None:
        end = await _finish_open_turn(talk, progress)
        if end is not None:
            return end
    while progress.turn < talk.turns_max:
        progress.turn += 1
        answer = await _turn(talk, progress, remark)
        if isinstance(answer, TalkEnd):
            return answer
        calls = [parse_call(call, talk.tools) for call in answer.message.tool_calls]
        if not calls:
            if answer.stop == "length":
                remark = (user("Your answer was cut off at the output limit. Go on in smaller steps."),)
                continue
            if talk.required and progress.nudges < NUDGES:
                progress.nudges += 1
                remark = (user(f"Call `{talk.required}` to go on; a plain answer does nothing."),)
                continue
            return TalkEnd(kind="finished", reason=answer.message.text)
        outcomes, end = await _run_calls(talk, progress, calls)
        if end is not None:
            return end
        judged = guard.observe(
            Observation(
                tuple((parsed.call.name, parsed.call.arguments) for parsed in calls),
                tuple(outcome.text for outcome in outcomes),
                any(not outcome.is_error for outcome in outcomes),
            )
        )
        if judged.verdict == "stuck":
            return TalkEnd(kind="stuck", reason=judged.reason, pending=tuple(progress.pending))
        remark = (user(f"{judged.reason} Try another way."),) if judged.verdict == "warn" else ()
    return TalkEnd(
        kind="turn_limit",
        reason=f"the task used its {talk.turns_max} turns",
        pending=tuple(progress.pending),
    )


def _begin(talk: Talk) -> tuple[_Progress, tuple[Message, ...]]:
    system = Message("system", (Text(talk.system),))
    progress = _Progress([system], pending=list(talk.prelude))
    if talk.resumed is None:
        return progress, tuple(map(talk.redaction.message, talk.opening))
    progress.messages.extend(talk.resumed.messages)
    progress.turn = sum(message.role == "assistant" for message in talk.resumed.messages)
    return progress, ()


async def _turn(talk: Talk, progress: _Progress, remark: tuple[Message, ...]) -> Answer | TalkEnd:
    """One model call, intent and result recorded. Messages of `remark` open it."""
    talk.spending.check()
    first = len(progress.messages) == 1
    progress.messages.extend(remark)
    labels = talk.labels
    await talk.recorder.record(
        *progress.pending,
        ev.TurnStarted(
            task_id=labels.task_id,
            attempt=labels.attempt,
            turn=progress.turn,
            messages=remark,
            system=talk.system_digest if first else "",
        ),
    )
    progress.pending.clear()
    request = Request(
        talk.model,
        tuple(progress.messages),
        talk.specs,
        labels=RequestLabels(
            labels.run_id,
            labels.task_id,
            labels.title,
            labels.role,
            labels.attempt,
            progress.turn,
            labels.priority,
        ),
    )
    try:
        answer = await talk.provider.complete(request, on_delta=partial(_show, talk))
    except ProviderError as error:
        await talk.recorder.record(
            ev.TurnFailed(
                task_id=labels.task_id,
                attempt=labels.attempt,
                turn=progress.turn,
                error=type(error).__name__,
                detail=str(error),
            )
        )
        return _provider_end(error)
    answer = msgspec.structs.replace(answer, message=talk.redaction.message(answer.message))
    await talk.recorder.record(
        ev.TurnCompleted(
            task_id=labels.task_id,
            attempt=labels.attempt,
            turn=progress.turn,
            message=answer.message,
            stop=answer.stop,
            usage=answer.usage,
            model=answer.model,
            discarded_attempts=answer.discarded_attempts,
            estimated_input=answer.estimated_input,
        )
    )
    talk.spending.add(answer, progress.messages)
    progress.messages.append(answer.message)
    return answer


def _show(talk: Talk, delta: TextDelta) -> None:
    if delta.waiting:
        talk.recorder.waiting(talk.labels.task_id, delta.waiting, delta.reason)
    else:
        talk.recorder.delta(talk.labels.task_id, delta.text, restart=delta.restart)


def _provider_end(error: ProviderError) -> TalkEnd:
    """Faults of transport were retried by the provider; a fresh conversation can help only where the
    conversation itself was the trouble.
    """
    refused = isinstance(error, RefusalError)
    return TalkEnd(
        kind="refused" if refused else "provider",
        reason=str(error),
        retryable=refused or isinstance(error, ContextOverflowError),
    )


async def _run_calls(
    talk: Talk, progress: _Progress, calls: list[ParsedCall]
) -> tuple[list[ToolOutcome], TalkEnd | None]:
    """Runs the calls of a turn in order and appends their results. `finish` counts only when nothing
    before it in the same turn failed: a model that finishes blindly sees the error first.
    """
    outcomes: list[ToolOutcome] = []
    results: list[ToolResult] = []
    finished: ParsedCall | None = None
    for parsed in calls:
        outcome = await _run_one(talk, progress, parsed)
        if outcome.finished and any(earlier.is_error for earlier in outcomes):
            outcome = ToolOutcome(
                "Not finished: an earlier call of this turn failed. Look at its result first.", is_error=True
            )
        outcomes.append(outcome)
        results.append(ToolResult(parsed.call.id, outcome.text, outcome.is_error))
        progress.pending.append(await _finished_event(talk, progress, parsed, outcome))
        if outcome.finished:
            finished = parsed
    progress.messages.append(tool_results(*results))
    if finished is None:
        return outcomes, None
    end = TalkEnd(
        kind="finished", reason=summary_of(finished), pending=tuple(progress.pending), final=finished
    )
    return outcomes, end


async def _run_one(talk: Talk, progress: _Progress, parsed: ParsedCall) -> ToolOutcome:
    if parsed.tool is not None and parsed.tool.effectful:
        labels = talk.labels
        await talk.recorder.record(
            *progress.pending,
            ev.ToolStarted(
                task_id=labels.task_id,
                attempt=labels.attempt,
                turn=progress.turn,
                call_id=parsed.call.id,
                tool=parsed.call.name,
                subject=parsed.subject[:200],
            ),
        )
        progress.pending.clear()
    outcome = _without_secrets(await run_call(parsed, talk.bench), talk.redaction)
    if len(outcome.text) > OUTPUT_LIMIT:
        half = OUTPUT_LIMIT // 2
        cut = len(outcome.text) - OUTPUT_LIMIT
        text = f"{outcome.text[:half]}\n[{cut} characters left out]\n{outcome.text[-half:]}"
        outcome = ToolOutcome(text, outcome.is_error, outcome.subject, outcome.finished)
    return outcome


def _without_secrets(outcome: ToolOutcome, redaction: Redaction) -> ToolOutcome:
    return replace(outcome, text=redaction.text(outcome.text), subject=redaction.text(outcome.subject))


async def _finished_event(
    talk: Talk, progress: _Progress, parsed: ParsedCall, outcome: ToolOutcome
) -> ev.ToolFinished:
    tree = ""
    if parsed.tool is not None and parsed.tool.edits and not outcome.is_error:
        tree = await talk.bench.executor.run(talk.bench.tree.flush)
    return ev.ToolFinished(
        task_id=talk.labels.task_id,
        attempt=talk.labels.attempt,
        turn=progress.turn,
        call_id=parsed.call.id,
        tool=parsed.call.name,
        text=outcome.text,
        is_error=outcome.is_error,
        tree=tree,
        subject=(outcome.subject or parsed.subject)[:200],
    )


# --- going on after a stop -------------------------------------------------------------------------


async def _finish_open_turn(talk: Talk, progress: _Progress) -> TalkEnd | None:
    """Brings a resumed conversation to the start of its next turn: calls of the last answer that have
    no result are run now, except those whose effect may have happened: they are reported as interrupted.
    A call to the model that was open is simply made again, under its old turn number.
    """
    resumed = talk.resumed
    assert resumed is not None
    if resumed.open_turn:
        progress.turn = resumed.open_turn - 1
        return None
    last = progress.messages[-1]
    if last.role != "assistant":
        return None
    calls = list(last.tool_calls)
    if not calls:
        return TalkEnd(kind="finished", reason=last.text)
    known = {result.call_id: result for result in resumed.results}
    results: list[ToolResult] = []
    finished: ParsedCall | None = None
    for call in calls:
        result = known.get(call.id)
        parsed = parse_call(call, talk.tools)
        if result is None:
            outcome = await _resume_call(talk, progress, call, parsed)
            progress.pending.append(await _finished_event(talk, progress, parsed, outcome))
            result = ToolResult(call.id, outcome.text, outcome.is_error)
        results.append(result)
        if call.name in {"finish", "submit_plan"} and not result.is_error and parsed.tool is not None:
            finished = parsed
    progress.messages.append(tool_results(*results))
    if finished is None:
        return None
    return TalkEnd(
        kind="finished", reason=summary_of(finished), pending=tuple(progress.pending), final=finished
    )


async def _resume_call(talk: Talk, progress: _Progress, call: ToolCall, parsed: ParsedCall) -> ToolOutcome:
    if call.id in talk.interrupted:
        return ToolOutcome(_INTERRUPTED, is_error=True, subject=parsed.subject)
    return await _run_one(talk, progress, parsed)


def summary_of(final: ParsedCall) -> str:
    """What the agent says it did: the argument of `finish`, which no other event repeats."""
    return str(getattr(final.arguments, "summary", None) or "")
