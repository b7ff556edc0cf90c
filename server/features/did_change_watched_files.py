"""`workspace/didChangeWatchedFiles`: files that changed on disk move hunks and findings."""

from lsprotocol import types

from server.client_profile import path_of
from server.host import Host

PARAMS = types.DidChangeWatchedFilesParams


def handle(host: Host, params: types.DidChangeWatchedFilesParams) -> None:
    host.presenter.reviews.files_changed([path for event in params.changes if (path := path_of(event.uri))])
