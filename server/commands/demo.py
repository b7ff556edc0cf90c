"""`antiphon demo`: a whole run in a folder of its own, with a scripted provider in the place of a model."""

import argparse

from server.commands.invocation import Invocation, output_options

EXAMPLES = """  antiphon demo
  antiphon demo --keep
  antiphon demo --workspace /tmp/antiphon-demo
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace", metavar="DIR", help="copy the demo's project here (must be empty or missing)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder afterwards")
    output_options(parser)


def execute(invocation: Invocation) -> int:
    raise NotImplementedError(str(invocation.args))
