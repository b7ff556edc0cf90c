"""`antiphon accept`: writes hunks to the user's files."""

import argparse

from server.commands.invocation import Invocation, hunk_options

EXAMPLES = """  antiphon accept latest --all
  antiphon accept latest --file src/parse.py --file src/print.py
  antiphon accept latest --hunk 3f9a

Exit code 1: a file is no longer what the proposal was made for; it is left
as it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    hunk_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.deciding import decide

    return decide(invocation, "accept")
