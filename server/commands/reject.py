"""`antiphon reject`: turns hunks down; nothing is written."""

import argparse

from server.commands.invocation import Invocation, hunk_options

EXAMPLES = """  antiphon reject latest --all
  antiphon reject latest --file src/parse.py --file src/print.py
  antiphon reject latest --hunk 3f9a
  antiphon reject latest --hunk 3f9a --lines 2-5,8

--lines counts as `antiphon changes RUN --numbers` does; the other lines of the
hunk stay open.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    hunk_options(parser)


def execute(invocation: Invocation) -> int:
    from server.commands.deciding import decide

    return decide(invocation, "reject")
