"""What a run pins at its start: the settings, lowered or chosen otherwise by who starts it."""

from typing import TYPE_CHECKING, cast

from orchestration import events as ev
from orchestration.errors import ConfigurationError
from server.settings import Settings

if TYPE_CHECKING:
    from server.protocol import RunStartParams


def run_options(settings: Settings, given: "RunStartParams") -> ev.RunOptions:
    """Raises ConfigurationError when no model is set."""
    model = given.model or settings.model
    if model is None:
        raise ConfigurationError(
            "no model is set: choose one in the editor's settings (`model`), in the user's configuration, or "
            "with ANTIPHON_MODEL; `antiphon doctor` says what was found"
        )
    budget, limits = given.budget, settings.budget
    return ev.RunOptions(
        model=model,
        max_parallel=given.max_parallel or settings.max_parallel,
        plan=cast("ev.PlanMode", given.plan or settings.plan),
        approval=cast("ev.ApprovalMode", given.approval or settings.approval),
        review=settings.review,
        budget=ev.Budget(
            usd=budget.usd or limits.usd,
            tokens=budget.tokens or limits.tokens,
            wall_seconds=budget.wall_seconds or limits.wall_seconds,
            turns_per_task=budget.turns_per_task or limits.turns_per_task,
            attempts=budget.attempts or limits.attempts,
        ),
        test_command=settings.quality.test_command,
        setup_command=settings.quality.setup_command,
    )
