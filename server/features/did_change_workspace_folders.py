"""`workspace/didChangeWorkspaceFolders`"""

from lsprotocol import types

from server.client_profile import path_of
from server.host import Host

PARAMS = types.DidChangeWorkspaceFoldersParams


async def handle(host: Host, params: types.DidChangeWorkspaceFoldersParams) -> None:
    added = [path for folder in params.event.added if (path := path_of(folder.uri))]
    removed = [path for folder in params.event.removed if (path := path_of(folder.uri))]
    host.session.change_folders(added, removed)
    host.workspaces.open(added)
    await host.close_folders(removed)
