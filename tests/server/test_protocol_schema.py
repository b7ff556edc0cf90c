"""The published schema is the generated one, and what the server says fits it."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from server import protocol_schema
from server.handshake import VERSION
from server.methods import CUSTOM, STANDARD
from server.protocol import REQUESTS, Empty, PlanDecideParams, RunStartParams
from tests.server.conftest import Script, Serve, plan, work
from tests.server.lsp_client import LspClient

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs/protocol.schema.json"


def validator(part: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**part, "$defs": protocol_schema.schema()["$defs"]})


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == protocol_schema.text(), "run `make schema`"


def test_it_is_a_schema_without_loose_ends() -> None:
    document = protocol_schema.schema()
    Draft202012Validator.check_schema(document)
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split("#/$defs/")[1:]}:
        assert reference in document["$defs"], reference


def test_every_method_has_a_handler_that_takes_what_is_published() -> None:
    assert list(REQUESTS) == list(CUSTOM)
    for method, name in (STANDARD | CUSTOM).items():
        module = import_module(f"server.features.{name}")
        assert callable(module.handle)
        if method in REQUESTS:
            assert module.PARAMS is (None if REQUESTS[method][0] is Empty else REQUESTS[method][0]), method


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_unknown_fields_are_tolerated() -> None:
    assert RunStartParams.model_validate({"goal": "x", "fromTheFuture": [1]}).goal == "x"
    assert PlanDecideParams.model_validate({"runId": "r", "plan": "accept", "new": 1}).plan == "accept"


@pytest.mark.timeout(120)
def test_what_the_server_says_fits_the_schema(serve: Serve, workspace: Path, script: Script) -> None:
    rules = [plan({"id": "one"}), work("one", ("write_file", {"path": "a.py", "content": "import os\n"}))]
    client: LspClient = serve()
    client.initialize(workspace, options={"settings": script(rules)})
    run = client.command("run.start", {"goal": "x"})["runId"]
    client.request("antiphon/run/subscribe", {"runId": run})
    client.wait_for("antiphon/event", lambda p: p["type"] == "run_finished")
    methods = protocol_schema.schema()["methods"]
    asked: dict[str, Any] = {
        "antiphon/run/list": {},
        "antiphon/run/read": {"runId": run},
        "antiphon/run/subscribe": {"runId": run},
        "antiphon/changes/read": {"runId": run},
        "antiphon/finding/list": {"runId": run},
        "antiphon/usage/read": {},
        "antiphon/models/list": {},
        "antiphon/health": {},
        "antiphon/changes/decide": {"runId": run, "all": True, "decision": "accept"},
        "antiphon/changes/undo": {"runId": run},
    }
    for method, params in asked.items():
        validator(methods[method]["params"]).validate(params)
        validator(methods[method]["result"]).validate(client.request(method, params))
    event = validator(methods["antiphon/event"]["params"])
    seen = client.all("antiphon/event")
    assert {"run_created", "task_merged", "run_finished"} <= {item["type"] for item in seen}
    for item in seen:
        event.validate(item)
    client.close()
