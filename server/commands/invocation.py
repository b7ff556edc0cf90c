"""What every command is given, and the options that several of them share."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from server.settings import Settings, load
from server.settings_checks import Value
from server.terminal.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Invocation:
    """`args` are the command's own options, as its `configure` declared them."""

    args: argparse.Namespace
    terminal: Terminal
    environ: Mapping[str, str]

    def workspace(self) -> Path:
        """The real path of the workspace. Raises WorkspaceError."""
        from server.commands.workspace import resolved

        return resolved(self.args.workspace)

    def settings(
        self, root: Path | None = None, flags: Mapping[str, Value | None] | None = None
    ) -> tuple[Settings, bool]:
        """The settings for the workspace at `root` and whether it is trusted; warnings are said once.
        Raises ConfigurationError.
        """
        settings = load(environ=self.environ, workspace=root, flags=flags)
        trusted = False
        if root is not None:
            from server.app import is_trusted

            trusted = bool(getattr(self.args, "trust", False)) or is_trusted(
                root, settings=settings, environ=self.environ
            )
            if trusted:
                settings = load(environ=self.environ, workspace=root, trusted=True, flags=flags)
        for warning in settings.warnings:
            self.terminal.remark("warning: ", warning)
        return settings, trusted

    def with_args(self, **values: object) -> "Invocation":
        return replace(self, args=argparse.Namespace(**{**vars(self.args), **values}))


def workspace_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", metavar="DIR", help="the workspace (default: the current folder)")
    output_options(parser)


def output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON lines on standard output")
    parser.add_argument("--no-color", action="store_true", help="no colours (also: NO_COLOR)")


def run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the beginning of one, or `latest`")


def hunk_options(parser: argparse.ArgumentParser) -> None:
    """What `accept` and `reject` share."""
    run_argument(parser)
    parser.add_argument("--all", action="store_true", help="every hunk that is still open")
    parser.add_argument(
        "--file", metavar="PATH", action="append", default=[], help="a file's hunks; may be repeated"
    )
    parser.add_argument("--hunk", metavar="ID", action="append", default=[], help="one hunk; may be repeated")
    parser.add_argument(
        "--lines", metavar="N-M,…", help="of the one hunk given, these lines only (see Examples)"
    )
    workspace_options(parser)
