"""`antiphon review`: analyzers over the difference to a revision, and a reviewing role where a model is set."""

import argparse

from server.commands.invocation import Invocation, workspace_options

EXAMPLES = """  antiphon review
  antiphon review --base main
  antiphon review --json | jq -r .rule

Exit code 0: nothing found. 1: findings.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", metavar="REV", help="compare with this revision (default: HEAD)")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    raise NotImplementedError(str(invocation.args))
