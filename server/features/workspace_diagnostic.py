"""`workspace/diagnostic`: the findings of every file."""

from typing import Any

from lsprotocol import types

from server import to_lsp
from server.host import Host

PARAMS = types.WorkspaceDiagnosticParams


async def handle(host: Host, params: types.WorkspaceDiagnosticParams) -> dict[str, Any]:
    """Files that the client knows from before and that have none any more are told so."""
    diagnostics = host.presenter.diagnostics
    uris = {to_lsp.uri_of(path): path for path in diagnostics.paths()}
    items = []
    for uri, path in uris.items():
        document = host.session.document_at(path)
        version = document.version if document is not None else None
        items.append(
            {
                "kind": "full",
                "uri": uri,
                "version": version,
                "resultId": "1",
                "items": await diagnostics.of(path),
            }
        )
    gone = [known.uri for known in params.previous_result_ids if known.uri not in uris]
    items.extend({"kind": "full", "uri": uri, "version": None, "items": []} for uri in gone)
    return {"items": items}
