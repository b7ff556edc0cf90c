"""`antiphon run`: a goal, or a plan from a file, carried out in this process and watched to its end."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.errors import ConfigurationError, UsageError
from server.commands.invocation import Invocation, workspace_options
from server.commands.workspace import require_writable
from server.settings import Settings
from server.settings_checks import Value

if TYPE_CHECKING:
    from server.commands.plan_file import PlanFile

EXAMPLES = """  antiphon run "Make the failing tests pass"
  antiphon run "Add a --verbose flag" --model openai/gpt-4.1 --max-cost 2.50
  antiphon run --plan-file plan.yaml --max-parallel 4 --approval auto --trust
  antiphon run "Translate the README" --plan confirm
  antiphon run "Mend the parser" --json | jq -r .type
  antiphon run "Mend the parser" --model openai/gpt-5,anthropic/claude-x
  antiphon run "Mend the parser" --record ~/parser.jsonl

The exit code is 0 when every task merged with all gates passed; 1 with dead
letters, blocked or unrun gates, a used-up budget or a failed plan; 2 for usage
or configuration; 130 when cancelled (Ctrl-C).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "goal", nargs="?", metavar="GOAL", help="what is to be done (optional with --plan-file)"
    )
    parser.add_argument(
        "--plan-file", metavar="F", help="carry out this plan (YAML or JSON) instead of asking for one"
    )
    run_options(parser)


def run_options(parser: argparse.ArgumentParser) -> None:
    """What `run` and `resume` share."""
    parser.add_argument(
        "--model",
        metavar="PROVIDER/NAME",
        help="for example openai/gpt-4.1; several with commas: the next answers when one cannot",
    )
    parser.add_argument("--plan", choices=("auto", "confirm"), help="`confirm` shows the plan and waits")
    parser.add_argument("--max-parallel", metavar="N", help="tasks at work at once (default 8)")
    parser.add_argument("--max-cost", metavar="USD", help="end the run at this cost; needs known prices")
    parser.add_argument("--max-tokens", metavar="N", help="end the run at so many tokens")
    parser.add_argument(
        "--approval",
        choices=("never", "ask", "auto"),
        help="commands of agents: never, ask each time (default), or an allow-list without asking",
    )
    parser.add_argument(
        "--review", action="store_true", default=None, help="let a reviewing role judge each task's result"
    )
    parser.add_argument(
        "--accept", choices=("none", "all"), default="none", help="`all` accepts every hunk at the end"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write what the models answer to FILE, for a replay without them"
    )
    parser.add_argument("--replay", metavar="FILE", help="let FILE answer for the models; no request is made")
    parser.add_argument("--trust", action="store_true", help="trust this workspace for this one command")
    workspace_options(parser)


def flags(args: argparse.Namespace) -> dict[str, Value | None]:
    """The options as settings, by dotted key."""
    return {
        "model": args.model,
        "plan": args.plan,
        "approval": args.approval,
        "max_parallel": args.max_parallel,
        "review": args.review,
        "budget.usd": args.max_cost,
        "budget.tokens": args.max_tokens,
        "providers.record": _absolute(args.record),
        "providers.replay": _absolute(args.replay),
    }


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def execute(invocation: Invocation) -> int:
    args, terminal = invocation.args, invocation.terminal
    _require_goal(args)
    root = invocation.workspace()
    require_writable(root)
    plan: PlanFile | None = None
    if args.plan_file:
        from server.commands.plan_file import read_plan

        plan = read_plan(Path(args.plan_file))
    settings, trusted = invocation.settings(root, flags(args))
    if settings.plan == "confirm" and not terminal.interactive:
        raise UsageError("--plan confirm needs a terminal to ask on; use --plan auto, or --plan-file F")
    require_model(settings, invocation)
    return _carry_out(invocation, root, settings, plan, trusted=trusted)


def _carry_out(
    invocation: Invocation, root: Path, settings: Settings, plan: "PlanFile | None", *, trusted: bool
) -> int:
    import anyio

    from orchestration.commands import StartRun
    from server.commands.carrying_out import carry_out, trusted_or_asked
    from server.run_options import run_options as pinned

    async def main() -> int:
        chosen, trust = await trusted_or_asked(invocation, root, settings, trusted=trusted)
        command = StartRun(
            goal=_goal(invocation.args, plan), options=pinned(chosen), plan=plan.tasks if plan else None
        )
        return await carry_out(invocation, root, chosen, command, trusted=trust)

    return anyio.run(main)


def _require_goal(args: argparse.Namespace) -> None:
    if args.plan_file or (args.goal or "").strip():
        return
    if args.goal is not None:
        raise UsageError('the goal is empty; say what is to be done: antiphon run "GOAL"')
    raise UsageError('a goal is missing: antiphon run "GOAL", or --plan-file F for a plan of your own')


def _goal(args: argparse.Namespace, plan: "PlanFile | None") -> str:
    given = (args.goal or "").strip()
    return given or (plan.goal if plan else "") or f"Carry out {Path(args.plan_file).name}"


def require_model(settings: Settings, invocation: Invocation) -> None:
    """Raises ConfigurationError, with the mend, for a model that is missing or cannot be used as asked."""
    from server.app import check_model

    if settings.model is None:
        raise ConfigurationError("\n".join(how_to_get_a_model(invocation)))
    check_model(settings.model, settings=settings, environ=invocation.environ, max_cost=settings.budget.usd)


def how_to_get_a_model(invocation: Invocation) -> list[str]:
    """What to type, with the servers that were found on this machine."""
    import anyio

    from server.app import local_servers

    lines = ["no model is configured. Any of these gives you one:"]
    for server in anyio.run(local_servers):
        lines += [
            f"found on this machine: {server.kind} at {server.base_url}; try",
            f"  OPENAI_BASE_URL={server.base_url} antiphon run --model openai/{server.models[0] if server.models else 'NAME'} …",
        ]
    if invocation.environ.get("OPENAI_API_KEY"):
        lines.append(
            "OPENAI_API_KEY is set; name a model of that service: --model openai/NAME or ANTIPHON_MODEL=openai/NAME"
        )
    lines += [
        "a service:       OPENAI_API_KEY=… ANTIPHON_MODEL=openai/NAME (OPENAI_BASE_URL for another address than OpenAI's)",
        "a local server:  OPENAI_BASE_URL=http://127.0.0.1:PORT/v1 ANTIPHON_MODEL=openai/NAME",
        'for good:        model = "openai/NAME" in the configuration file (docs/configuration.md)',
        "without any:     antiphon demo",
    ]
    return lines
