"""What an ACP agent asks permission for, and which of its options is the answer; pure.

Whether something is allowed is its caller's to say. An option is known by its `kind`; its id and its place mean nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from providers.agents.acp_updates import ToolCall, text_of
from providers.base import PermissionRequest

Kind = Literal["read", "edit", "command", "fetch", "other"]
_KINDS: Mapping[str, Kind] = {
    "read": "read",
    "search": "read",
    "edit": "edit",
    "delete": "edit",
    "move": "edit",
    "execute": "command",
    "fetch": "fetch",
}


def request_of(call: ToolCall, folder: Path) -> PermissionRequest | None:
    """None for a call that does nothing outside of the agent. A search that names no place is one of its folder; a call
    with a command is one that runs it, whatever it says it is.
    """
    if call.kind == "think":
        return None
    kind: Kind = "command" if call.command else _KINDS.get(call.kind, "other")
    paths = tuple(str(folder / path) for path in call.paths)
    if call.kind == "search" and not paths:
        paths = (str(folder),)
    subject = (call.title if kind == "other" else "") or call.subject
    return PermissionRequest(kind=kind, subject=subject, paths=paths)


def chosen(options: Any, *, allow: bool) -> str | None:
    """The id of the option to answer with; None when none of them says what is meant.

    A permission is given once. One that the agent would keep for ever is more than was asked for, so it is not chosen;
    a rejection for ever is taken where there is no other.
    """
    kinds = ("allow_once",) if allow else ("reject_once", "reject_always")
    known: dict[str, str] = {}
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict) and isinstance(option.get("optionId"), str):
            known.setdefault(text_of(option.get("kind")), option["optionId"])
    return next((known[kind] for kind in kinds if kind in known), None)


def outcome(option: str | None) -> dict[str, Any]:
    """The result of `session/request_permission`. Without an option it is that of a turn that was cancelled."""
    if option is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": option}}
