"""One client's world: its profile, open documents, folders and trust. The only writer of all of these is
the message loop; everyone else gets frozen values.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from server.client_profile import ClientProfile, path_of
from server.settings import EditorSettings
from server.text_buffer import Change, LineChange, OpenText

# Called after each change with the document and what changed by lines (empty: opened, saved or closed).
DocumentListener = Callable[[OpenText, Sequence[LineChange]], None]


class Session:
    def __init__(self, profile: ClientProfile) -> None:
        self.profile = profile
        self.folders: tuple[str, ...] = profile.roots
        self._documents: dict[str, OpenText] = {}
        self._listeners: list[DocumentListener] = []
        self._trust: dict[str, bool] = {}
        self.editor_settings = EditorSettings(profile.settings)

    def answered_settings(self, settings: Mapping[str, object]) -> None:
        """What the editor says when it is asked, or by itself later; it lies over what it said at its start."""
        self.editor_settings = EditorSettings(self.profile.settings, settings)

    # --- documents -----------------------------------------------------------------------------------

    def listen(self, listener: DocumentListener) -> Callable[[], None]:
        """Returns how to stop listening."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def document(self, uri: str) -> OpenText | None:
        return self._documents.get(_key(uri))

    def document_at(self, path: str) -> OpenText | None:
        return self._documents.get(path)

    def documents(self) -> tuple[OpenText, ...]:
        return tuple(self._documents.values())

    def opened(self, document: OpenText) -> None:
        self._put(document, ())

    def changed(self, uri: str, version: int, changes: Sequence[Change]) -> bool:
        """False for a document that is not open."""
        document = self.document(uri)
        if document is None:
            return False
        changed, shifts = document.changed(changes, version, self.profile.encoding)
        self._put(changed, shifts)
        return True

    def saved(self, uri: str) -> None:
        document = self.document(uri)
        if document is not None:
            self._put(document.saved(), ())

    def closed(self, uri: str) -> OpenText | None:
        document = self._documents.pop(_key(uri), None)
        if document is not None:
            self._tell(document, ())
        return document

    def _put(self, document: OpenText, shifts: Sequence[LineChange]) -> None:
        self._documents[_key(document.uri)] = document
        self._tell(document, shifts)

    def _tell(self, document: OpenText, shifts: Sequence[LineChange]) -> None:
        for listener in tuple(self._listeners):
            listener(document, shifts)

    # --- folders and trust ---------------------------------------------------------------------------

    def change_folders(self, added: Sequence[str], removed: Sequence[str]) -> None:
        kept = [folder for folder in self.folders if folder not in removed]
        self.folders = (*kept, *(folder for folder in added if folder not in kept))

    def trusted(self, root: Path) -> bool | None:
        """What the editor says: its latest word on this root, else on the whole window."""
        return self._trust.get(str(root), self.profile.trusted)

    def set_trusted(self, root: Path, *, trusted: bool) -> None:
        self._trust[str(root)] = trusted


def _key(uri: str) -> str:
    """Clients spell the same file in several ways (escapes, case of the drive); its path is one."""
    return path_of(uri) or uri


def relative_to(path: str, root: Path) -> str | None:
    """POSIX path below `root`, whether or not either of them goes through a symbolic link."""
    for one, other in ((path, str(root)), (os.path.realpath(path), os.path.realpath(root))):
        if one.startswith(other.rstrip("/") + "/"):
            return one[len(other.rstrip("/")) + 1 :]
    return None
