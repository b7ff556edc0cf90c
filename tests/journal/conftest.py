"""Worlds: a place where journals live, in memory or on a disk, and processes that open them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import anyio
import pytest

from orchestration.events import RunCreated, RunOptions, TaskCancelled
from orchestration.journal.contract import Journal
from orchestration.journal.memory import MemoryJournal, MemoryStore
from orchestration.journal.sqlite import SqliteJournal, open_journal


class SetClock:
    """Stands still until it is set; `sleep` really sleeps, since disks and other processes do not wait."""

    def __init__(self, time: float = 1_000.0) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class World(Protocol):
    clock: SetClock

    async def journal(self) -> Journal:
        """As another process would see it."""


class MemoryWorld:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.store = MemoryStore()
        self.opened: list[MemoryJournal] = []

    async def journal(self) -> Journal:
        journal = MemoryJournal(self.store, self.clock, pid=100 + len(self.opened))
        self.opened.append(journal)
        return journal

    async def aclose(self) -> None:
        for journal in self.opened:
            await journal.aclose()


class DiskWorld:
    def __init__(self, home: Path) -> None:
        self.clock = SetClock()
        self.home = home
        self.opened: list[SqliteJournal] = []

    async def journal(self) -> Journal:
        journal = await open_journal(self.home, self.clock)
        self.opened.append(journal)
        return journal

    async def aclose(self) -> None:
        for journal in self.opened:
            await journal.aclose()


def created(goal: str = "mend the fence") -> RunCreated:
    return RunCreated(
        goal=goal, workspace="/somewhere/barn", options=RunOptions(model="scripted/demo"), version="0"
    )


def step(number: int) -> TaskCancelled:
    """The smallest event there is, told apart by its number."""
    return TaskCancelled(task_id=f"t{number}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "disk"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    made = MemoryWorld() if request.param == "memory" else DiskWorld(tmp_path / "home")
    yield made
    await made.aclose()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskWorld]:
    made = DiskWorld(tmp_path / "home")
    yield made
    await made.aclose()
