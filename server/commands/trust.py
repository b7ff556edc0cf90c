"""`antiphon trust`: lets tests and commands of a workspace run, until the files it rests on change."""

import argparse

from server.commands.invocation import Invocation, workspace_options

EXAMPLES = """  antiphon trust
  antiphon trust --workspace ~/src/parser
  antiphon trust --show
  antiphon trust --revoke

Trusting means: gates may run this workspace's tests, agents' commands may run as your approval says, and
its `.antiphon/config.toml` may name commands and a model. It never lets a workspace raise rights.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--show", action="store_true", help="only say whether it is trusted (exit 0: yes, 1: no)"
    )
    action.add_argument("--revoke", action="store_true", help="stop trusting it")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.app import is_trusted, set_trust

    args, terminal = invocation.args, invocation.terminal
    root = invocation.workspace()
    settings, trusted = invocation.settings(root)
    if not args.show:
        set_trust(root, settings=settings, environ=invocation.environ, trusted=not args.revoke)
        trusted = is_trusted(root, settings=settings, environ=invocation.environ)
    terminal.emit({"workspace": str(root), "trusted": trusted})
    terminal.say(str(root), " is ", ("trusted", "green") if trusted else ("not trusted", "yellow"))
    return int(args.show and not trusted)
