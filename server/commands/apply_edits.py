"""`antiphon apply-edits`: edits as a model wrote them, applied to files or refused with the reason."""

import argparse

from server.commands.invocation import Invocation, output_options

EXAMPLES = """  antiphon apply-edits < answer.txt
  antiphon apply-edits --format unified_diff --dry-run < change.diff
  antiphon apply-edits --root src --json < answer.txt

Exit code 0: everything was applied. 1: refused with reasons, nothing was changed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", metavar="DIR", help="the folder the paths are relative to (default: the current one)"
    )
    parser.add_argument(
        "--format",
        choices=("auto", "search_replace", "unified_diff", "apply_patch"),
        default="auto",
        help="how the edits are written (default: found out)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would happen; write nothing")
    output_options(parser)


def execute(invocation: Invocation) -> int:
    raise NotImplementedError(str(invocation.args))
