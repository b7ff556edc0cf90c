"""`antiphon resume`: goes on with a run from its journal. Finished tasks are kept and never paid for twice."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, run_argument
from server.settings import COMMAND_LINE, Settings

if TYPE_CHECKING:
    from orchestration.commands import Retry
    from orchestration.events import RunOptions

EXAMPLES = """  antiphon resume latest
  antiphon resume run-20260301-101500-4f2a1c --max-cost 10
  antiphon resume latest --model openai/gpt-4.1 --trust

The options are those of `run`; what is not given stays as the run had it. The
exit codes are those of `run`, too.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from server.commands.run import run_options

    run_argument(parser)
    run_options(parser)
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take the run from a process that holds it but hangs; that one can do nothing in it any more",
    )


def execute(invocation: Invocation) -> int:
    return resumed(invocation, None)


def resumed(invocation: Invocation, retry: "Retry | None") -> int:
    """Goes on with the run that is named, and tries dead letters of it again where that is asked."""
    import anyio

    from orchestration.commands import ResumeRun
    from server.app import check_model, open_engine
    from server.commands.carrying_out import carry_out, trusted_or_asked
    from server.commands.lookup import find_run
    from server.commands.run import flags
    from server.commands.workspace import require_writable

    root = invocation.workspace()
    require_writable(root)
    settings, trusted = invocation.settings(root, flags(invocation.args))

    async def main() -> int:
        async with open_engine(
            root, settings=settings, trusted=trusted, environ=invocation.environ
        ) as engine:
            run_id = (await find_run(engine, invocation.args.run)).run_id
            state = await engine.state(run_id)
        options = _options(settings, state.options)
        if options is not None:
            check_model(
                options.model, settings=settings, environ=invocation.environ, max_cost=options.budget.usd
            )
        chosen, trust = await trusted_or_asked(invocation, root, settings, trusted=trusted)
        return await carry_out(
            invocation,
            root,
            chosen,
            ResumeRun(run_id=run_id, options=options, adopt=invocation.args.adopt, retry=retry),
            trusted=trust,
        )

    return anyio.run(main)


_FIELDS = {"model": "model", "plan": "plan", "approval": "approval", "max_parallel": "max_parallel"}
_BUDGET = {"budget.usd": "usd", "budget.tokens": "tokens"}


def _options(settings: Settings, pinned: "RunOptions | None") -> "RunOptions | None":
    """The run's own options with what this command line gave; None where nothing was recorded or given."""
    import msgspec

    from server.run_options import run_options

    given = {key for key, source in settings.sources.items() if source == COMMAND_LINE}
    if pinned is None or not given:
        return pinned
    wanted = run_options(replace(settings, model=settings.model or pinned.model))
    budget = msgspec.structs.replace(
        pinned.budget,
        **{field: getattr(wanted.budget, field) for key, field in _BUDGET.items() if key in given},
    )
    chosen = {field: getattr(wanted, field) for key, field in _FIELDS.items() if key in given}
    return msgspec.structs.replace(pinned, budget=budget, **chosen)
