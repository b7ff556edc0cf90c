"""`antiphon retry`: tries dead letters of a run again, with another model or a word of yours."""

import argparse

from server.commands.invocation import Invocation, run_argument

EXAMPLES = """  antiphon retry latest
  antiphon retry latest parse-numbers --note "see docs/grammar.md"
  antiphon retry latest parse-numbers --model openai/gpt-4.1

Tasks that were skipped because of a dead letter come back with it. What is
given beside holds for the rest of the run; the exit codes are those of `run`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from server.commands.run import run_options

    run_argument(parser)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="which dead letters (default: all)")
    parser.add_argument("--note", metavar="TEXT", default="", help="what the agents are to know this time")
    run_options(parser)


def execute(invocation: Invocation) -> int:
    from orchestration.commands import Retry
    from server.commands.deciding import BY
    from server.commands.resume import resumed

    args = invocation.args
    retry = Retry(task_ids=tuple(args.tasks), note=args.note, model=args.model, by=BY)
    return resumed(invocation.with_args(model=None, adopt=False), retry)
