"""`antiphon/changes/content`: the text of a virtual document, for clients without `workspace/textDocumentContent`."""

from server.features.text_document_content import content
from server.host import Host
from server.protocol import ChangesContentParams, ChangesContentResult

PARAMS = ChangesContentParams


async def handle(host: Host, params: ChangesContentParams) -> ChangesContentResult:
    return ChangesContentResult(text=await content(host, params.uri))
