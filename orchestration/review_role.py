"""The reviewing role as a gate of a run: its model calls are journaled, paid from the run's budget, and never
made twice for the same question.

Off unless the run's options ask for it. What is asked and what counts as evidence is
`quality/reviewer.py`'s.
"""

from dataclasses import replace
from functools import partial

from orchestration import events as ev
from orchestration.budget import Spending
from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ConfigurationError
from orchestration.graph_model import REVIEW_OF
from orchestration.live_run import LiveRun
from orchestration.quality.gates import GateContext
from orchestration.quality.reviewer import PROMPT as REVIEW_PROMPT
from orchestration.quality.reviewer import Reviewer, ReviewGate
from providers.errors import ProviderError
from providers.messages import Request, RequestLabels, TextDelta, system, user

_ROLE = "reviewer"
_PRIORITY = 1  # of its calls where they wait for a limit: a task that is finished waits for them


def with_review(
    ports: EnginePorts, live: LiveRun, definitions: Definitions, spending: Spending
) -> EnginePorts:
    """The ports with the review gate added where the run wants it, after the cheaper gates."""
    options = live.state.options
    if options is None or not options.review:
        return ports
    asking = _Asking(ports, live, definitions, spending)
    gate = ReviewGate(Reviewer(asking.ask, definitions.prompts[REVIEW_PROMPT]))
    return replace(ports, gates=(*ports.gates, gate))


class _Asking:
    """The questions about a task are turns of a conversation of their own, `review:TASK`."""

    def __init__(
        self, ports: EnginePorts, live: LiveRun, definitions: Definitions, spending: Spending
    ) -> None:
        self._ports = ports
        self._live = live
        self._definitions = definitions
        self._spending = spending
        self._turns: dict[str, int] = {}
        self._answered: dict[tuple[str, str], str] | None = None if live.state.epoch > 1 else {}

    async def ask(self, question: str, context: GateContext) -> str:
        """One call. Raises ProviderError, SpentError."""
        question = self._ports.redaction.text(question)
        task_id = REVIEW_OF + (context.spec.id if context.spec is not None else "")
        if self._answered is None:
            self._answered = await self._answered_before()
        if (task_id, question) in self._answered:
            return self._answered[task_id, question]
        answer = await self._call(task_id, question, context)
        self._answered[task_id, question] = answer
        return answer

    async def _call(self, task_id: str, question: str, context: GateContext) -> str:
        live, options = self._live, self._live.state.options
        assert options is not None
        role = self._definitions.role(_ROLE)
        if self._ports.agents.resolve(role.model or options.model) is not None:
            raise ConfigurationError(
                f"the reviewing role needs a model, and {options.model} is an agent; leave `review` off"
            )
        provider, model = self._ports.models.resolve(role.model or options.model)
        self._spending.check()
        turn = self._turns[task_id] = self._turns.get(task_id, 0) + 1
        message, attempt = user(question), context.attempt
        started = ev.TurnStarted(
            task_id=task_id,
            attempt=attempt,
            turn=turn,
            messages=(message,),
            system=self._definitions.digest(_ROLE),
        )
        await live.record(started)
        title = f"Review {context.spec.title}" if context.spec is not None else "Review"
        labels = RequestLabels(
            live.state.run_id, task_id, title, _ROLE, attempt=attempt, turn=turn, priority=_PRIORITY
        )
        try:
            answer = await provider.complete(
                Request(model, (system(role.text), message), labels=labels),
                on_delta=partial(_show_wait, live, context.spec.id if context.spec is not None else ""),
            )
        except ProviderError as error:
            failed = ev.TurnFailed(
                task_id=task_id, attempt=attempt, turn=turn, error=type(error).__name__, detail=str(error)
            )
            await live.record(failed)
            raise
        await live.record(
            ev.TurnCompleted(
                task_id=task_id,
                attempt=attempt,
                turn=turn,
                message=answer.message,
                stop=answer.stop,
                usage=answer.usage,
                model=answer.model,
                discarded_attempts=answer.discarded_attempts,
                estimated_input=answer.estimated_input,
            )
        )
        self._spending.add(answer, (message,))
        return answer.message.text

    async def _answered_before(self) -> dict[tuple[str, str], str]:
        """What was asked and answered before the run was resumed, by conversation and question."""
        asked: dict[tuple[str, int], str] = {}
        answered: dict[tuple[str, str], str] = {}
        for record in await self._ports.journal.read(self._live.state.run_id, limit=10_000_000):
            event = record.event
            if not isinstance(event, ev.TurnStarted | ev.TurnCompleted):
                continue
            if not event.task_id.startswith(REVIEW_OF):
                continue
            if isinstance(event, ev.TurnStarted):
                asked[event.task_id, event.turn] = event.messages[0].text
            else:
                self._turns[event.task_id] = event.turn
                answered[event.task_id, asked[event.task_id, event.turn]] = event.message.text
        return answered


def _show_wait(live: LiveRun, task_id: str, delta: TextDelta) -> None:
    if delta.waiting:
        live.waiting(task_id, delta.waiting, delta.reason)
