"""Everything that comes in, converted and checked. Wrong params become an error that names the field."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import cattrs
from cattrs.errors import BaseValidationError
from cattrs.v import format_exception
from lsprotocol import types
from lsprotocol.converters import get_converter

from server.jsonrpc import INVALID_PARAMS, RpcError
from server.text_buffer import Change, Place

_NAMES: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}
_SNAKE = re.compile(r"_([a-z])")


@cache
def _converter() -> cattrs.Converter:
    """The stock one turns 5 into "5" where text is needed; a wrong type is an error here."""
    converter = get_converter()
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    return converter


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _kind: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"must be {_NAMES[kind]}")
        return value

    return structure


def params(method: str, kind: Any, raw: Any) -> Any:
    """`raw` as `kind`: an LSP type, one of our models, or None for whatever was sent.
    Raises RpcError (invalid params).
    """
    if kind is None:
        return raw
    if hasattr(kind, "model_validate"):
        return _own(method, kind, raw)
    try:
        return _converter().structure(raw, kind)
    except BaseValidationError as error:
        told = cattrs.transform_error(error, format_exception=_told)
        reasons = [_SNAKE.sub(lambda m: m[1].upper(), text) for text in told]
        raise RpcError(INVALID_PARAMS, f"{method}: {'; '.join(reasons)}") from None
    except Exception as error:  # noqa: BLE001 - the converter raises whatever its hooks raise
        raise RpcError(INVALID_PARAMS, f"{method}: the params do not fit ({error!r})") from None


def _told(error: BaseException, kind: type | None) -> str:
    own = isinstance(error, TypeError) and str(error).startswith("must be ")
    return str(error) if own else str(format_exception(error, kind))


def _own(method: str, kind: Any, raw: Any) -> Any:
    from pydantic import ValidationError

    try:
        return kind.model_validate({} if raw is None else raw)
    except ValidationError as error:
        reasons = [_reason(item) for item in error.errors(include_url=False, include_context=False)]
        raise RpcError(INVALID_PARAMS, f"{method}: {'; '.join(reasons)}") from None


def _reason(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"`{where}` is missing"
    return f"`{where}`: {item['msg']}" if where else str(item["msg"])


def changes(events: Sequence[types.TextDocumentContentChangeEvent]) -> list[Change]:
    return [
        Change(event.text, place(event.range.start), place(event.range.end))
        if isinstance(event, types.TextDocumentContentChangePartial)
        else Change(event.text)
        for event in events
    ]


def place(position: types.Position) -> Place:
    return Place(position.line, position.character)


def lines_of(range_: types.Range) -> tuple[int, int]:
    """First and last line; a range that ends at the beginning of a line does not reach into it."""
    end = range_.end.line
    if range_.end.character == 0 and end > range_.start.line:
        end -= 1
    return range_.start.line, end
