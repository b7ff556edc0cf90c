"""`antiphon reject`: turns hunks down; nothing is written."""

import argparse

from server.commands.invocation import Invocation

EXAMPLES = """  antiphon reject latest --all
  antiphon reject latest --file src/parse.py --file src/print.py
  antiphon reject latest --hunk 3f9a
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from server.commands.deciding import options

    options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.deciding import decide

    return decide(invocation, "reject")
