"""`antiphon serve`: the language server on standard input and output.

An editor waits for this one, so `cli.py` calls `serve` without reading options where there are none to read.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from server.commands.invocation import Invocation
    from server.composition import Composition

EXAMPLES = """  antiphon serve --stdio

An editor starts this; a person has no use for it. In Neovim:
  vim.lsp.start({ name = "antiphon", cmd = { "antiphon", "serve", "--stdio" },
                  root_dir = vim.fn.getcwd() })
"""


def configure(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--stdio", action="store_true", help="the only transport, and so the default")
    # Language clients add this one by themselves; the process id also comes with `initialize`.
    parser.add_argument("--clientProcessId", help="==SUPPRESS==")


def execute(invocation: "Invocation") -> int:
    del invocation
    return serve()


def serve() -> int:
    from server.stdio import main_stdio

    return main_stdio(_compose)


def _compose() -> "Composition":
    from server.app import Served  # the engine and all it needs, after `initialize` has been answered

    return Served()
