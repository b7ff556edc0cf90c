"""The running server, from the answered `initialize` to its exit code: who owns what, and how it ends.

Whatever ends it (`exit`, end of input, a dead client, a signal), the same happens: engines are closed and
with them every child, what is queued for the client is written if it still reads, and if any of this hangs
the process ends all the same.
"""

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import anyio

from orchestration.errors import AntiphonError
from server import logs
from server.client import Client
from server.composition import Compose, Composition
from server.crew import Crew
from server.handshake import Handshake
from server.host import Host
from server.language_server import StrictProtocol, make_server
from server.session import Session
from server.transport import StdioTransport
from server.watchdog import Watchdog

logger = logging.getLogger(__name__)
CLOSE_WITHIN_S = 10.0
DRAIN_WITHIN_S = 2.0
# Beyond both: the process is ended from outside of Python.
LAST_RESORT_S = 20.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(handshake: Handshake, compose: Compose, read_fd: int, write_fd: int) -> int:
    """Blocks until the connection ends. Returns the exit code."""
    logs.begin()
    _share_one_heap()
    return anyio.run(_serve, handshake, compose, read_fd, write_fd)


def _share_one_heap() -> None:
    """glibc gives threads heaps of their own, which costs 4 MB here; one lock does, as Python has one too."""
    if sys.platform == "linux":
        import ctypes

        arena_max, one = -8, 1
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(arena_max, one)


async def _serve(handshake: Handshake, compose: Compose, read_fd: int, write_fd: int) -> int:
    server = make_server()
    assert isinstance(server.protocol, StrictProtocol)
    protocol = server.protocol
    async with anyio.create_task_group() as group:
        session = Session(handshake.profile)
        transport = StdioTransport(
            read_fd,
            write_fd,
            handshake.framer,
            on_message=protocol.receive,
            # Nobody is left to ask for a shutdown, so whether there was one decides.
            on_end=lambda reason: host.end(reason, 0 if protocol.shut_down else 1),
        )
        client = Client(handshake.profile, transport)
        host = Host(session, client, lambda: _composed(compose, session), Crew(group))
        protocol.attach(client, host)
        watchdog = _watch(handshake, host)
        _end_on_signals(host)
        for message in handshake.pending:
            protocol.receive(message)
        transport.start()
        await host.ended.wait()
        logger.info("the server ends: %s", host.reason)
        faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)
        if watchdog is not None:
            watchdog.stop()
        with anyio.move_on_after(CLOSE_WITHIN_S) as closing:
            await protocol.finish()
            await host.workspaces.close()
        if closing.cancelled_caught:
            logger.error("engines did not close within %g s", CLOSE_WITHIN_S)
        await transport.drain(DRAIN_WITHIN_S)
        transport.close()
        group.cancel_scope.cancel()
    return host.exit_code


def _composed(compose: Compose, session: Session) -> Composition:
    """In a worker thread: imports the engine's world, then keeps the log where the settings say."""
    gc.disable()
    try:
        composition = compose()
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
    try:
        settings = composition.settings(None, session.editor_settings, lambda: session.profile.trusted)
    except AntiphonError as error:
        # Whoever opens a workspace is told; the log goes on without its file.
        logger.warning("settings: %s", error)
        return composition
    folder = Path(settings.data_folder(os.environ), "logs")
    logs.keep_file(folder, settings.log_level, settings.providers.secrets())
    for warning in settings.warnings:
        logger.warning("settings: %s", warning)
    return composition


def _watch(handshake: Handshake, host: Host) -> Watchdog | None:
    pid = handshake.profile.process_id
    if pid is None or pid == os.getpid():
        return None
    watchdog = Watchdog(pid, lambda: host.end("the client's process has ended", 1))
    return watchdog if watchdog.start() else None


def _end_on_signals(host: Host) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, host.end, f"signal {number.name}", 128 + number)
