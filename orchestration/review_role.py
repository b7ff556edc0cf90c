"""The reviewing role as a gate of a run: its model calls are journaled and paid from the run's budget.

Off unless the run's options ask for it. What is asked and what counts as evidence is
`quality/reviewer.py`'s.
"""

from dataclasses import replace

from orchestration import events as ev
from orchestration.budget import Spending, characters
from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ConfigurationError
from orchestration.live_run import LiveRun
from orchestration.quality.reviewer import PROMPT as REVIEW_PROMPT
from orchestration.quality.reviewer import Reviewer, ReviewGate
from providers.errors import ProviderError
from providers.messages import Request, RequestLabels, system, user

REVIEW_TASK = "review"
_ROLE = "reviewer"


def with_review(
    ports: EnginePorts, live: LiveRun, definitions: Definitions, spending: Spending
) -> EnginePorts:
    """The ports with the review gate added where the run wants it, after the cheaper gates."""
    options = live.state.options
    if options is None or not options.review:
        return ports
    gate = ReviewGate(
        Reviewer(_Asking(ports, live, definitions, spending).ask, definitions.prompts[REVIEW_PROMPT])
    )
    return replace(ports, gates=(*ports.gates, gate))


class _Asking:
    def __init__(
        self, ports: EnginePorts, live: LiveRun, definitions: Definitions, spending: Spending
    ) -> None:
        self._ports = ports
        self._live = live
        self._definitions = definitions
        self._spending = spending
        self._turns = 0

    async def ask(self, prompt: str) -> str:
        """One call, in a conversation of its own. Raises ProviderError, SpentError."""
        options = self._live.state.options
        assert options is not None
        role = self._definitions.role(_ROLE)
        if self._ports.agents.resolve(role.model or options.model) is not None:
            raise ConfigurationError(
                f"the reviewing role needs a model, and {options.model} is an agent; leave `review` off"
            )
        provider, model = self._ports.models.resolve(role.model or options.model)
        self._spending.check()
        self._turns += 1
        turn, question = self._turns, user(prompt)
        await self._live.record(
            ev.TurnStarted(
                task_id=REVIEW_TASK,
                attempt=1,
                turn=turn,
                messages=(question,),
                system=self._definitions.digest(_ROLE),
            )
        )
        labels = RequestLabels(self._live.state.run_id, REVIEW_TASK, "Review", _ROLE, turn=turn)
        try:
            answer = await provider.complete(Request(model, (system(role.text), question), labels=labels))
        except ProviderError as error:
            failed = ev.TurnFailed(
                task_id=REVIEW_TASK, attempt=1, turn=turn, error=type(error).__name__, detail=str(error)
            )
            await self._live.record(failed)
            raise
        await self._live.record(
            ev.TurnCompleted(
                task_id=REVIEW_TASK,
                attempt=1,
                turn=turn,
                message=answer.message,
                stop=answer.stop,
                usage=answer.usage,
                model=answer.model,
                discarded_attempts=answer.discarded_attempts,
            )
        )
        self._spending.add(answer.usage, characters(question), answer.message)
        return answer.message.text
