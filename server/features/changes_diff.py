"""`antiphon/changes/diff`: where an editor finds both sides of a proposed change. Opens nothing; as a command of
a lens or an action it also shows the unified diff, where the client can (`execute_command.py`).
"""

from server.host import Host
from server.jsonrpc import INVALID_PARAMS, RpcError
from server.protocol import ChangesDiffParams, ChangesDiffResult
from server.reviews import Review
from server.virtual_documents import addresses, title

PARAMS = ChangesDiffParams


async def handle(host: Host, params: ChangesDiffParams) -> ChangesDiffResult:
    review = await host.review(params.run_id)
    hunk_id = params.hunk_id or ""
    path = params.path or _path_of(review, hunk_id)
    before, after, diff = addresses(review, path, hunk_id)
    return ChangesDiffResult(title=title(path, hunk_id), before=before.uri, after=after.uri, diff=diff.uri)


def _path_of(review: Review, hunk_id: str) -> str:
    hunks = review.view.hunks() if review.view is not None else ()
    for hunk in hunks:
        if hunk.hunk_id == hunk_id:
            return hunk.path
    raise RpcError(
        INVALID_PARAMS, f"{review.run_id} has no hunk {hunk_id}; antiphon/changes/read lists those it has"
    )
