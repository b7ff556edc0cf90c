"""JSON-RPC 2.0 made strict: what a body is, and which error it deserves. Pure, no I/O.

The stock library answers malformed input with a message box and leaves the client waiting; here every
body becomes exactly one value, and an `Invalid` says which error to send and to which id.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
NOT_INITIALIZED = -32002
OVERLOADED = -32001
REQUEST_FAILED = -32803
REQUEST_CANCELLED = -32800

Id = int | str
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class RpcError(Exception):
    """An error reply. `data` is JSON: for errors of the engine `{kind, exitCode}`."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Request:
    id: Id
    method: str
    params: Any


@dataclass(frozen=True, slots=True)
class Notification:
    method: str
    params: Any


@dataclass(frozen=True, slots=True)
class Response:
    """`error` is the client's error object, None when `result` counts."""

    id: Id | None
    result: Any
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Invalid:
    """`rest` are bytes after a complete JSON value: the beginning of the next message."""

    id: Id | None
    code: int
    message: str
    rest: bytes = b""


Message = Request | Notification | Response | Invalid


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse(body: bytes) -> Message:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return Invalid(None, PARSE_ERROR, f"the message is not UTF-8 (byte {error.start})")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].encode() if error.msg == "Extra data" else b""
        return Invalid(None, PARSE_ERROR, f"the message is not JSON: {error.msg} at {error.pos}", rest)
    except RecursionError:
        return Invalid(None, PARSE_ERROR, "the message is nested too deeply")
    except ValueError as error:
        return Invalid(None, PARSE_ERROR, f"the message is not JSON: {error}")
    if _ESCAPED_SURROGATE.search(body):
        value = _without_lone_surrogates(value)
    return classify(value)


def classify(value: Any) -> Message:
    if isinstance(value, list):
        return Invalid(None, INVALID_REQUEST, "batches are not supported; send one message each")
    if not isinstance(value, dict):
        return Invalid(None, INVALID_REQUEST, "a message must be a JSON object")
    raw_id = value.get("id")
    known = raw_id if isinstance(raw_id, int | str) and not isinstance(raw_id, bool) else None
    if value.get("jsonrpc") != "2.0":
        return Invalid(known, INVALID_REQUEST, '`jsonrpc` must be "2.0"')
    if "method" in value:
        return _call(value, known)
    if ("result" in value) != ("error" in value) and "id" in value:
        error = value.get("error")
        if "error" in value and not isinstance(error, dict):
            error = {"code": INTERNAL_ERROR, "message": str(error)}
        return Response(known, value.get("result"), error)
    return Invalid(known, INVALID_REQUEST, "a message needs a `method`, or an `id` with a result or an error")


def _call(value: dict[str, Any], known: Id | None) -> Message:
    method, params = value["method"], value.get("params")
    if not isinstance(method, str) or not method:
        return Invalid(known, INVALID_REQUEST, "`method` must be a string")
    if "id" in value and known is None:
        return Invalid(None, INVALID_REQUEST, "`id` must be a string or a whole number")
    if params is not None and not isinstance(params, dict | list):
        if known is None:
            return Invalid(None, INVALID_REQUEST, f"{method}: `params` must be an object or an array")
        return Invalid(known, INVALID_PARAMS, f"{method}: `params` must be an object or an array")
    return Notification(method, params) if known is None else Request(known, method, params)


def _without_lone_surrogates(value: Any) -> Any:
    """Half a character, which JSON can spell and UTF-8 cannot, becomes U+FFFD (one UTF-16 unit as well)."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in value.items()}
    return value


def error_reply(reply_to: Id | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": reply_to, "error": error}


def result_reply(reply_to: Id, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": reply_to, "result": result}
