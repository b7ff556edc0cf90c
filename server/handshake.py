"""Everything up to the answer of `initialize`, with nothing but the standard library.

An editor waits for this answer before it does anything else. The library that speaks LSP takes 350 ms to
import, so it comes after; the client's next messages wait in the pipe meanwhile.
"""

import json
import os
from collections import deque
from dataclasses import dataclass
from typing import Any

from server.client_profile import ClientProfile, read_profile
from server.framing import Body, Frame, Framer, Violation, frame, header_beginning
from server.jsonrpc import (
    INVALID_REQUEST,
    NOT_INITIALIZED,
    PARSE_ERROR,
    Invalid,
    Message,
    Notification,
    Request,
    RpcError,
    error_reply,
    parse,
    result_reply,
)
from server.methods import COMMANDS, CUSTOM, PROTOCOL_VERSION, SCHEME

VERSION = "0.1.0"
READ_SIZE = 1 << 16
EXIT_WITHOUT_SHUTDOWN = 1


@dataclass(frozen=True, slots=True)
class Handshake:
    """An initialised connection: who the client is, and what it has sent since."""

    profile: ClientProfile
    framer: Framer
    pending: tuple[Message, ...]


def await_initialize(read_fd: int, write_fd: int) -> Handshake | int:
    """Blocks until `initialize` is answered. An exit code when the connection ended before that."""
    framer = Framer()
    while data := os.read(read_fd, READ_SIZE):
        messages = deque(messages_of(framer, data))
        while messages:
            message = messages.popleft()
            if isinstance(message, Request) and message.method == "initialize":
                profile = _answer(message, write_fd)
                if profile is not None:
                    return Handshake(profile, framer, tuple(messages))
            elif isinstance(message, Notification) and message.method == "exit":
                return EXIT_WITHOUT_SHUTDOWN
            elif isinstance(message, Request):
                _write(
                    write_fd,
                    error_reply(message.id, NOT_INITIALIZED, f"{message.method} before `initialize`"),
                )
            elif isinstance(message, Invalid):
                _write(write_fd, error_reply(message.id, message.code, message.message))
    return EXIT_WITHOUT_SHUTDOWN


def messages_of(framer: Framer, data: bytes) -> "list[Message]":
    """Everything that `data` completes; wrong framing becomes an `Invalid`."""
    return [_message(framer, item) for item in framer.feed(data)]


def _message(framer: Framer, item: Frame) -> Message:
    match item:
        case Body(data):
            message = parse(data)
            if isinstance(message, Invalid) and message.code == PARSE_ERROR:
                framer.unread(message.rest or header_beginning(data))
            return message
        case Violation(text, too_large):
            return Invalid(None, INVALID_REQUEST if too_large else PARSE_ERROR, text)


def _answer(request: Request, write_fd: int) -> ClientProfile | None:
    try:
        profile = read_profile(request.params)
    except RpcError as error:
        _write(write_fd, error_reply(request.id, error.code, error.message))
        return None
    _write(write_fd, result_reply(request.id, initialize_result(profile)))
    return profile


def _write(write_fd: int, message: dict[str, Any]) -> None:
    data = frame(json.dumps(message, separators=(",", ":")).encode())
    while data:
        data = data[os.write(write_fd, data) :]


def uses_pull(profile: ClientProfile) -> bool:
    """Pull only where the server can say that there is something new; a client shows both kinds at once,
    so never both.
    """
    return profile.pull_diagnostics and profile.diagnostic_refresh


def initialize_result(profile: ClientProfile) -> dict[str, Any]:
    capabilities: dict[str, Any] = {
        "positionEncoding": profile.encoding,
        "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
        "codeLensProvider": {"resolveProvider": False},
        "codeActionProvider": {
            "codeActionKinds": ["quickfix", "source.antiphon"],
            "resolveProvider": True,
        },
        "executeCommandProvider": {"commands": list(COMMANDS)},
        "workspace": {
            "workspaceFolders": {"supported": True, "changeNotifications": True},
            "textDocumentContent": {"schemes": [SCHEME]},
        },
        "experimental": {
            "antiphon": {
                "protocolVersion": PROTOCOL_VERSION,
                "features": [method.removeprefix("antiphon/") for method in CUSTOM],
            }
        },
    }
    if uses_pull(profile):
        capabilities["diagnosticProvider"] = {
            "identifier": "antiphon",
            "interFileDependencies": False,
            "workspaceDiagnostics": True,
        }
    return {"capabilities": capabilities, "serverInfo": {"name": "antiphon", "version": VERSION}}
