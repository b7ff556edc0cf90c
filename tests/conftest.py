from pathlib import Path

import pytest

from tests.python_environments import environment_with_pytest


@pytest.fixture(scope="session")
def python_with_pytest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that every test may use and none may change."""
    return environment_with_pytest(tmp_path_factory.mktemp("python") / "with-pytest")
