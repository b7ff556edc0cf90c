"""Values as JSON for the wire: plain data, the engine's structs, our pydantic models, LSP types."""

import json
from pathlib import PurePath
from typing import Any

import msgspec


def _convert(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True, exclude_none=True, mode="json")
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_ENCODER = msgspec.json.Encoder(enc_hook=_convert)


def encode(value: Any) -> bytes:
    """Raises NotImplementedError or TypeError for what has no JSON form."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        # A file name that is no UTF-8: its odd bytes travel as escaped half characters.
        return json.dumps(msgspec.to_builtins(value, enc_hook=_convert), separators=(",", ":")).encode()
