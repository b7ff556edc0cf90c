"""The smallest useful language server on pygls: what its first answers cost whoever builds on it."""

from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("minimal", "0")


@server.feature(types.TEXT_DOCUMENT_CODE_LENS)
def code_lens(_params: types.CodeLensParams) -> list[types.CodeLens]:
    return []


if __name__ == "__main__":
    server.start_io()
