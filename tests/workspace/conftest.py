"""Stores, guards and workspaces of the tests in this folder."""

from pathlib import Path

import pytest

from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.object_store import SnapshotStore


@pytest.fixture(params=["memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    return MemoryObjects()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
