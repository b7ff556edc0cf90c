"""The watchdog on real processes, by descriptor and by looking."""

import os
import subprocess
import sys
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from server.watchdog import Watchdog, started


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def waiting() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.anyio
@pytest.mark.parametrize("by_looking", [False, True])
async def test_a_death_is_told(by_looking: bool) -> None:
    process, told = waiting(), anyio.Event()
    dog = Watchdog(process.pid, told.set, death_of=_no_descriptor if by_looking else None, poll_s=0.05)
    assert dog.start()
    assert not told.is_set()
    end(process)
    with anyio.fail_after(20):
        await told.wait()


def _no_descriptor(_pid: int) -> tuple[int, Callable[[], None]]:
    raise OSError


@pytest.mark.anyio
async def test_a_stopped_watchdog_says_nothing() -> None:
    process, told = waiting(), anyio.Event()
    dog = Watchdog(process.pid, told.set)
    assert dog.start()
    dog.stop()
    end(process)
    await anyio.lowlevel.checkpoint()
    assert not told.is_set()


@pytest.mark.anyio
async def test_who_is_gone_is_not_watched() -> None:
    process = waiting()
    end(process)
    assert not Watchdog(process.pid, lambda: None).start()
    assert not Watchdog(0, lambda: None).start()
    assert not Watchdog(1 << 40, lambda: None).start()


@pytest.mark.skipif(sys.platform != "linux", reason="start times come from /proc")
def test_an_ended_process_that_nobody_reaped_has_no_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert started(process.pid) is None
    process.wait()
    assert started(os.getpid()) is not None
