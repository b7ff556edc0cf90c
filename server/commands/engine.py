"""The engine as a command uses it: opened for one workspace, asked, closed."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import anyio

from orchestration.commands import Reply
from orchestration.engine import EngineFront
from orchestration.journal.data_dir import refuse_inside
from server.app import open_engine
from server.commands.invocation import Invocation
from server.logs import keep_file, secret_values
from server.settings import Settings
from server.terminal.terminal import Terminal

T = TypeVar("T")


def log_to_file(root: Path, settings: Settings, environ: Mapping[str, str]) -> None:
    """The engine's log goes beside the server's; a terminal is for its user. Raises ConfigurationError for a
    data folder inside the workspace, where not even a log may be made.
    """
    refuse_inside(root, settings.data_folder(environ))
    keep_file(
        settings.data_folder(environ) / "logs",
        settings.log_level,
        [*secret_values(environ), *settings.providers.secrets()],
    )


def with_engine(invocation: Invocation, use: Callable[[EngineFront], Awaitable[T]]) -> T:
    """Runs `use` with the engine of the workspace that the command line names."""
    root = invocation.workspace()
    settings, trusted = invocation.settings(root)
    log_to_file(root, settings, invocation.environ)

    async def main() -> T:
        async with open_engine(
            root, settings=settings, trusted=trusted, environ=invocation.environ
        ) as engine:
            return await use(engine)

    return anyio.run(main)


def refused(reply: Reply, terminal: Terminal) -> int:
    """Says why the engine did not carry out a command. Returns the exit code."""
    for number, text in enumerate(reply.error.splitlines()):
        terminal.remark("antiphon: " if number == 0 else "  ", text)
    code = reply.exit_code or 70
    terminal.emit({"type": "error", "kind": reply.error_kind, "message": reply.error, "exitCode": code})
    return code
