"""The smallest useful language server on pygls: what answering `initialize` costs whoever builds on it."""

from pygls.lsp.server import LanguageServer

if __name__ == "__main__":
    LanguageServer("minimal", "0").start_io()
