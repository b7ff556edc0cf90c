"""Writes `docs/protocol.schema.json` from `protocol.py` and the engine's wire values (`make schema`).

One JSON Schema document: every type under `$defs`, and under `methods` which types each custom method takes
and gives. The clients' TypeScript and Java types are generated from it, so nothing here is written by hand.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchestration.events import Event
from server import protocol
from server.methods import (
    APPROVAL_REQUEST,
    APPROVAL_RESOLVED,
    EVENT,
    PROTOCOL_VERSION,
    SECRETS_DELETE,
    SECRETS_GET,
    SECRETS_STORE,
    command_of,
)

_REFERENCE = "#/$defs/{model}"
# Methods of the server: its requests and its notifications.
FROM_SERVER = {
    APPROVAL_REQUEST: (protocol.ApprovalRequestParams, protocol.ApprovalAnswer),
    APPROVAL_RESOLVED: (protocol.ApprovalResolvedParams, None),
    SECRETS_GET: (protocol.SecretParams, protocol.SecretAnswer),
    SECRETS_STORE: (protocol.SecretStoreParams, protocol.Empty),
    SECRETS_DELETE: (protocol.SecretParams, protocol.Empty),
}


def schema() -> dict[str, Any]:
    pairs: list[tuple[Any, Any]] = [*protocol.REQUESTS.values(), *FROM_SERVER.values()]
    types: dict[Any, None] = dict.fromkeys(kind for pair in pairs for kind in pair if kind is not None)
    ours = [kind for kind in types if issubclass(kind, BaseModel)]
    theirs = [kind for kind in types if not issubclass(kind, BaseModel)]
    _, defined = models_json_schema(
        [(kind, "serialization") for kind in [*ours, protocol.DeltaParams]], ref_template=_REFERENCE
    )
    (event, *_), engine = msgspec.json.schema_components([Event, *theirs], ref_template="#/$defs/{name}")
    place = {
        "type": "object",
        "description": "Where an event stands: `time` is Unix seconds, `seq` counts from 1 within the run.",
        "properties": {
            "runId": {"type": "string"},
            "seq": {"type": "integer", "minimum": 1},
            "time": {"type": "number"},
        },
        "required": ["runId", "seq", "time"],
    }
    definitions = {**defined.get("$defs", {}), **engine, "EventPlace": place, "Event": event}
    notified = [{"allOf": [_ref("EventPlace"), _ref("Event")]}, _ref("DeltaParams")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Antiphon protocol",
        "protocolVersion": PROTOCOL_VERSION,
        "methods": {
            **{method: _method(method, pair, "client") for method, pair in protocol.REQUESTS.items()},
            **{method: _method(method, pair, "server") for method, pair in FROM_SERVER.items()},
            EVENT: {"from": "server", "params": {"anyOf": notified}},
        },
        "$defs": dict(sorted(definitions.items())),
    }


def _method(method: str, pair: tuple[Any, Any], sender: str) -> dict[str, Any]:
    params, result = pair
    entry: dict[str, Any] = {"from": sender, "params": _ref(params.__name__)}
    if result is not None:
        entry["result"] = _ref(result.__name__)
    if sender == "client":
        entry["command"] = command_of(method)
    return entry


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
