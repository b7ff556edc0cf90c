"""`antiphon trust`: lets tests and commands of a workspace run, until the files it rests on change."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from server.commands.invocation import Invocation, workspace_options
from server.settings import load
from server.settings_files import WORKSPACE_FILE

EXAMPLES = """  antiphon trust
  antiphon trust --workspace ~/src/parser
  antiphon trust --show
  antiphon trust --revoke
  antiphon trust --list

Trusting means: gates may run this workspace's tests, agents' commands may run
as your approval says, and its `.antiphon/config.toml` may name commands, a
model and the address that a provider's calls and key go to (shown here). It
never lets a workspace raise rights.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--show", action="store_true", help="only say whether it is trusted (exit 0: yes, 1: no)"
    )
    action.add_argument("--revoke", action="store_true", help="stop trusting it")
    action.add_argument("--list", action="store_true", help="every workspace that was trusted")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    from server.app import is_trusted, set_trust, trust_store

    args, terminal = invocation.args, invocation.terminal
    if args.list:
        return _list(invocation)
    root = invocation.workspace()
    settings, trusted = invocation.settings(root)
    if not args.show:
        set_trust(root, settings=settings, environ=invocation.environ, trusted=not args.revoke)
        trusted = is_trusted(root, settings=settings, environ=invocation.environ)
    changed = not trusted and any(
        grant.root == str(root) for grant in trust_store(settings, invocation.environ).list()
    )
    addresses = workspace_addresses(root, invocation.environ)
    terminal.emit({"workspace": str(root), "trusted": trusted, "changed": changed, "addresses": addresses})
    terminal.say(str(root), " is ", ("trusted", "green") if trusted else ("not trusted", "yellow"))
    for name, url in addresses.items():
        goes = "go" if trusted else "would go"
        terminal.say((f"calls of {name}, with its key, {goes} to {url}", "yellow"))
    if changed:
        terminal.say(
            "It was, but files that can start something have changed since (.antiphon, tool servers); look at",
            " them, then `antiphon trust` again.",
        )
    return int(args.show and not trusted)


def workspace_addresses(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Where the workspace's own file sends the calls of providers, once it is trusted."""
    settings = load(environ=environ, workspace=root, trusted=True)
    return settings.addresses_from(str(root / WORKSPACE_FILE))


def _list(invocation: Invocation) -> int:
    from server.app import trust_store

    terminal = invocation.terminal
    settings, _ = invocation.settings()
    grants = trust_store(settings, invocation.environ).list()
    for grant in grants:
        terminal.emit({"workspace": grant.root, "trusted": grant.holds, "changed": not grant.holds})
        terminal.say(grant.root, ("" if grant.holds else "  changed since; trust it again", "yellow"))
    if not grants:
        terminal.say("no workspace is trusted")
    return 0
