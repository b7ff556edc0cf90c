"""`textDocument/diagnostic`: the findings of a document."""

from typing import Any

from lsprotocol import types

from server.client_profile import path_of
from server.host import Host

PARAMS = types.DocumentDiagnosticParams


async def handle(host: Host, params: types.DocumentDiagnosticParams) -> dict[str, Any]:
    path = path_of(params.text_document.uri)
    items = await host.presenter.diagnostics.of(path) if path else []
    return {"kind": "full", "items": items}
