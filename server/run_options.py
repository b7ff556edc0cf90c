"""What a run pins at its start: the settings, lowered or chosen otherwise by who starts it."""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from orchestration import events as ev
from orchestration.errors import ConfigurationError
from server.settings import Settings

if TYPE_CHECKING:
    from server.protocol import RunStartParams


def run_options(settings: Settings) -> ev.RunOptions:
    """The settings as a run pins them. Raises ConfigurationError when no model is set."""
    if settings.model is None:
        raise ConfigurationError(
            "no model is set: choose one in the editor's settings (`model`), in the user's configuration, or "
            "with ANTIPHON_MODEL; `antiphon doctor` says what was found"
        )
    budget = settings.budget
    return ev.RunOptions(
        model=settings.model,
        max_parallel=settings.max_parallel,
        plan=cast("ev.PlanMode", settings.plan),
        approval=cast("ev.ApprovalMode", settings.approval),
        review=settings.review,
        budget=ev.Budget(
            usd=budget.usd,
            tokens=budget.tokens,
            wall_seconds=budget.wall_seconds,
            turns_per_task=budget.turns_per_task,
            attempts=budget.attempts,
        ),
        test_command=settings.quality.test_command,
        setup_command=settings.quality.setup_command,
    )


def with_choices(settings: Settings, given: "RunStartParams") -> Settings:
    """The settings with what a client chose for one run."""
    limits = {name: value for name, value in given.budget.model_dump().items() if value is not None}
    chosen = given.model_dump(
        include={"model", "plan", "approval", "max_parallel", "review"}, exclude_none=True
    )
    return replace(settings, **chosen, budget=replace(settings.budget, **limits))
