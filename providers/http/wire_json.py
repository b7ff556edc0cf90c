"""JSON as all adapters write and read it: half characters, raw pieces, tool arguments.

No API is known here.
"""

import base64
from typing import Any

import msgspec

from providers.messages import Image

encode_json = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def encode_body(body: dict[str, Any]) -> bytes:
    """Half characters (from file names, or a program's output) cannot be sent: each becomes U+FFFD."""
    try:
        return encode_json(body)
    except UnicodeEncodeError:
        return encode_json(without_surrogates(body))


def without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_surrogates(inner) for inner in value]
    return value


def raw(text: str) -> msgspec.Raw:
    """JSON text that is sent byte for byte as it is."""
    return msgspec.Raw(text.encode("utf-8", "surrogatepass"))


def is_object(text: str) -> bool:
    try:
        _decode_object(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True


def object_arguments(arguments: str) -> str:
    """Arguments as the text of a JSON object: several servers parse them and refuse anything else."""
    if not arguments.isascii():
        arguments = without_surrogates(arguments)
    if is_object(arguments):
        return arguments
    return encode_json({"invalid_json": arguments}).decode()


def unwrapped_arguments(arguments: str) -> str:
    """Some models write the object once more as a JSON string; what is in it was meant. Nothing at all is `{}`."""
    if not arguments.strip():
        return "{}"
    if not arguments.lstrip().startswith('"'):
        return arguments
    try:
        inner = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments
    return inner if isinstance(inner, str) and is_object(inner) else arguments


def parses(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def base64_of(image: Image) -> str:
    return base64.b64encode(image.data).decode("ascii")


def data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64_of(image)}"


def token_count(value: Any) -> int | None:
    """A count as a server reported it; None for what cannot be one (negative, no whole number, over a billion)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= 1_000_000_000 else None
