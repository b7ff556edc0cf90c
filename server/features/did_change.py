"""`textDocument/didChange`"""

import logging

from lsprotocol import types

from server import from_lsp
from server.client_profile import path_of
from server.host import Host

PARAMS = types.DidChangeTextDocumentParams
logger = logging.getLogger(__name__)


def handle(host: Host, params: types.DidChangeTextDocumentParams) -> None:
    document = params.text_document
    if not host.session.changed(document.uri, document.version, from_lsp.changes(params.content_changes)):
        logger.warning("a change of a document that is not open was ignored: %s", document.uri)
    elif path := path_of(document.uri):
        host.typed_in(path)
