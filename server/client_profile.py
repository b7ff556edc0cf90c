"""What the client said of itself at `initialize`, as one frozen value. Reads plain JSON; imports nothing heavy."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

from server.jsonrpc import INVALID_PARAMS, RpcError

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]
ENCODINGS = ("utf-8", "utf-16", "utf-32")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """`roots` are folders as the client spells them. `antiphon`: the client draws our custom methods
    itself (it declared `experimental.antiphon`). `secrets`: it keeps keys for its user and gives them out when it is
    asked. `trusted`: None when the client did not say.
    """

    name: str = ""
    process_id: int | None = None
    roots: tuple[str, ...] = ()
    encoding: PositionEncoding = "utf-16"
    trusted: bool | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    antiphon: bool = False
    secrets: bool = False
    progress: bool = False
    configuration: bool = False
    apply_edit: bool = False
    document_changes: bool = False
    change_annotations: bool = False
    resource_operations: frozenset[str] = frozenset()
    code_lens: bool = False
    code_lens_refresh: bool = False
    virtual_documents: bool = False
    show_document: bool = False
    pull_diagnostics: bool = False
    diagnostic_refresh: bool = False
    related_information: bool = False
    code_description: bool = False
    diagnostic_data: bool = False
    diagnostic_version: bool = False
    action_literals: bool = False
    action_resolve: frozenset[str] = frozenset()
    action_data: bool = False
    action_preferred: bool = False


def read_profile(params: Any) -> ClientProfile:
    """From the params of `initialize`. Raises RpcError (invalid params) that names the field."""
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "initialize: `params` must be an object")
    capabilities = params.get("capabilities")
    if not isinstance(capabilities, dict):
        raise RpcError(INVALID_PARAMS, "initialize: `capabilities` must be an object")
    process_id = params.get("processId")
    if process_id is not None and (not isinstance(process_id, int) or isinstance(process_id, bool)):
        raise RpcError(INVALID_PARAMS, "initialize: `processId` must be a number or null")
    options = params.get("initializationOptions")
    options = options if isinstance(options, dict) else {}
    trusted, settings = options.get("trusted"), options.get("settings")

    def has(path: str) -> bool:
        return bool(_at(capabilities, path))

    edits = "workspace.workspaceEdit"
    operations = _at(capabilities, f"{edits}.resourceOperations")
    resolve = _at(capabilities, "textDocument.codeAction.resolveSupport.properties")
    return ClientProfile(
        name=str(_at(params, "clientInfo.name") or ""),
        process_id=process_id,
        roots=_roots(params),
        encoding=_encoding(_at(capabilities, "general.positionEncodings")),
        trusted=trusted if isinstance(trusted, bool) else None,
        settings=settings if isinstance(settings, dict) else {},
        antiphon=has("experimental.antiphon"),
        secrets=has("experimental.antiphon.secrets"),
        progress=has("window.workDoneProgress"),
        configuration=has("workspace.configuration"),
        apply_edit=has("workspace.applyEdit"),
        # Resource operations travel in `documentChanges` only (Neovim declares just these).
        document_changes=has(f"{edits}.documentChanges") or has(f"{edits}.resourceOperations"),
        change_annotations=_at(capabilities, f"{edits}.changeAnnotationSupport") is not None,
        resource_operations=_words(operations),
        code_lens=_at(capabilities, "textDocument.codeLens") is not None or has("workspace.codeLens"),
        code_lens_refresh=has("workspace.codeLens.refreshSupport"),
        virtual_documents=_at(capabilities, "workspace.textDocumentContent") is not None,
        show_document=has("window.showDocument.support"),
        pull_diagnostics=_at(capabilities, "textDocument.diagnostic") is not None,
        diagnostic_refresh=has("workspace.diagnostics.refreshSupport"),
        related_information=has("textDocument.publishDiagnostics.relatedInformation"),
        code_description=has("textDocument.publishDiagnostics.codeDescriptionSupport"),
        diagnostic_data=has("textDocument.publishDiagnostics.dataSupport"),
        diagnostic_version=has("textDocument.publishDiagnostics.versionSupport"),
        action_literals=has("textDocument.codeAction.codeActionLiteralSupport"),
        action_resolve=_words(resolve),
        action_data=has("textDocument.codeAction.dataSupport"),
        action_preferred=has("textDocument.codeAction.isPreferredSupport"),
    )


def path_of(uri: str) -> str | None:
    """The local path of a `file:` URI, None for anything else."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        return None
    return os.path.normpath(unquote(parts.path, errors="surrogateescape"))


def _words(value: Any) -> frozenset[str]:
    return frozenset(str(item) for item in value) if isinstance(value, list) else frozenset()


def _roots(params: dict[str, Any]) -> tuple[str, ...]:
    folders = params.get("workspaceFolders")
    if folders is not None and not isinstance(folders, list):
        raise RpcError(INVALID_PARAMS, "initialize: `workspaceFolders` must be an array or null")
    uris = [folder.get("uri") for folder in folders or () if isinstance(folder, dict)]
    uris = uris or [params.get("rootUri")]
    paths = [path_of(uri) for uri in uris if isinstance(uri, str)]
    if not any(paths) and isinstance(params.get("rootPath"), str) and params["rootPath"].startswith("/"):
        paths = [os.path.normpath(params["rootPath"])]
    return tuple(path for path in paths if path)


def _encoding(offered: Any) -> PositionEncoding:
    """The client's first choice among ours; UTF-16 when it says nothing, as the protocol demands."""
    for encoding in offered if isinstance(offered, list) else ():
        if encoding in ENCODINGS:
            return cast("PositionEncoding", encoding)
    return "utf-16"


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
