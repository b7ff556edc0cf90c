"""`textDocument/codeLens`: accept and reject at each open hunk of a document."""

from lsprotocol import types

from server import to_lsp
from server.client_profile import path_of
from server.host import Host

PARAMS = types.CodeLensParams
# A client that cannot be told to ask again gets an answer that is worth a moment.
_PATIENCE_S = 0.5


async def handle(host: Host, params: types.CodeLensParams) -> list[to_lsp.Json]:
    path = path_of(params.text_document.uri)
    if path is None:
        return []
    if not host.client.profile.code_lens_refresh:
        await host.presenter.reviews.settle(path, _PATIENCE_S)
    document = host.session.document(params.text_document.uri)
    return [
        lens
        for review, hunks in host.presenter.reviews.hunks_at(path)
        for lens in to_lsp.lenses(hunks, review.run_id, host.client.profile, document)
    ]
