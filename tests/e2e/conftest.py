from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.e2e.command_line import Antiphon
from tests.e2e.told_model import Told
from tests.model_server import ModelServer


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An empty workspace with a blank in its name."""
    workspace = tmp_path / "work space"
    workspace.mkdir()
    model = Told()
    with ModelServer(model, api_key="test-key") as server:
        variables = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key"}
        yield Bench(Antiphon(tmp_path / "home", variables), workspace, model, server)
        for gate in model.gates.values():
            gate.release()
