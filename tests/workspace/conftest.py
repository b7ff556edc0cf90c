"""Stores, launchers and repositories of the tests in this folder; real git throughout."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestration.edge import SystemClock
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.object_store import SnapshotStore
from orchestration.workspace.shadow import ShadowRepository


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncIterator[LocalLauncher]:
    token = f"test-{os.getpid()}-{tmp_path.name.strip('_').replace('_', '-')}"
    made = LocalLauncher(tmp_path / "ledger", token, clock=SystemClock(), grace_s=0.3)
    yield made
    await made.aclose()
    assert made.live() == ()


@pytest.fixture
async def git(launcher: LocalLauncher) -> Git:
    return await Git.find(launcher)


@pytest.fixture
def shadow(tmp_path: Path) -> ShadowRepository:
    return ShadowRepository.open(tmp_path / "data" / "snapshots.git")


@pytest.fixture
def git_store(shadow: ShadowRepository, git: Git) -> GitObjects:
    return GitObjects(shadow, git)


@pytest.fixture(params=["memory", "git"])
def store(request: pytest.FixtureRequest) -> SnapshotStore:
    if request.param == "memory":
        return MemoryObjects()
    made = request.getfixturevalue("git_store")
    assert isinstance(made, GitObjects)
    return made
