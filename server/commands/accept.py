"""`antiphon accept`: writes hunks to the user's files."""

import argparse

from server.commands.invocation import Invocation, hunk_options

EXAMPLES = """  antiphon accept latest --all
  antiphon accept latest --file src/parse.py --file src/print.py
  antiphon accept latest --hunk 3f9a
  antiphon accept latest --hunk 3f9a --lines 2-5,8
  antiphon accept latest --hunk 3f9a --edited better.txt

--lines counts as `antiphon changes RUN --numbers` does; the other lines of the
hunk stay open.
--edited takes the hunk's new text from a file (-: standard input), also where
the hunk is a conflict.
Exit code 1: a file is no longer what the proposal was made for; it is left
as it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    hunk_options(parser)
    parser.add_argument(
        "--edited", metavar="FILE", help="accept the one hunk with this text instead of the proposed one"
    )


def execute(invocation: Invocation) -> int:
    from server.commands.deciding import decide

    return decide(invocation, "accept")
