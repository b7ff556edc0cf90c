"""`antiphon doctor`: what was found on this machine and in this workspace, and what is missing."""

import argparse

from server.commands.invocation import Invocation, workspace_options

EXAMPLES = """  antiphon doctor
  antiphon doctor --workspace ~/src/parser
  antiphon doctor --online        also ask every provider whether it answers
  antiphon doctor --json | jq '.checks[] | select(.state == "problem")'

Exit code 1: at least one problem. Remarks do not count as problems.
"""
_MARKS = {"ok": ("✔", "+", "green"), "remark": ("!", "!", "yellow"), "problem": ("✖", "x", "bold red")}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--online", action="store_true", help="ask the providers that are set up whether they answer"
    )
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from functools import partial

    import anyio

    from server.examination import examine
    from server.terminal.lines import line, wrapped

    terminal = invocation.terminal
    look = partial(examine, invocation.args.workspace, invocation.environ, online=invocation.args.online)
    checks = anyio.run(look)
    sound = all(check.state != "problem" for check in checks)
    terminal.emit(
        {
            "ok": sound,
            "checks": [
                {"name": check.name, "state": check.state, "detail": check.detail, "mend": check.mend}
                for check in checks
            ],
        }
    )
    width = max(len(check.name) for check in checks)
    for check in checks:
        drawn, ascii_form, style = _MARKS[check.state]
        mark = drawn if terminal.unicode else ascii_form
        told = [line((f"{mark} {check.name:<{width}}", style), f"  {check.detail}")]
        if check.mend:
            told.append(line(" " * (width + 4), (check.mend, "dim")))
        for one in told:
            terminal.lines(wrapped(one, terminal.columns, indent=width + 4))
    return 0 if sound else 1
