"""`antiphon serve`: the language server on standard input and output."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation

if TYPE_CHECKING:
    from server.composition import Composition

EXAMPLES = """  antiphon serve --stdio

An editor starts this; a person has no use for it. In Neovim:
  vim.lsp.start({ name = "antiphon", cmd = { "antiphon", "serve", "--stdio" }, root_dir = vim.fn.getcwd() })
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdio", action="store_true", help="the only transport, and so the default")
    # Language clients add this one by themselves; the process id also comes with `initialize`.
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)


def execute(invocation: Invocation) -> int:
    from server.stdio import main_stdio

    del invocation

    def compose() -> "Composition":
        from server.app import Served  # the engine and all it needs, after `initialize` has been answered

        return Served()

    return main_stdio(compose)
