"""`textDocument/didSave`"""

from lsprotocol import types

from server.host import Host

PARAMS = types.DidSaveTextDocumentParams


def handle(host: Host, params: types.DidSaveTextDocumentParams) -> None:
    host.session.saved(params.text_document.uri)
