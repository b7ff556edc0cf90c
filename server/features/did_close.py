"""`textDocument/didClose`"""

from lsprotocol import types

from server.host import Host

PARAMS = types.DidCloseTextDocumentParams


def handle(host: Host, params: types.DidCloseTextDocumentParams) -> None:
    host.session.closed(params.text_document.uri)
