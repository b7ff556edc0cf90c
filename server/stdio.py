"""`antiphon serve --stdio`: takes the two pipes for the protocol, answers `initialize`, then imports the rest."""

import gc
import linecache
import os
from typing import TYPE_CHECKING

from server.handshake import await_initialize

if TYPE_CHECKING:
    from server.composition import Compose


def main_stdio(compose: "Compose") -> int:
    """Serves one client until it is gone. `compose` is called once, in a worker thread, after `initialize`.
    Returns the exit code: 0 after `shutdown`, else 1 (128 + n for a signal).
    """
    read_fd, write_fd = _take_pipes()
    try:
        outcome = await_initialize(read_fd, write_fd)
    except ConnectionError:
        return 1
    if isinstance(outcome, int):
        return outcome
    # The collector would walk what is imported again and again. Once, afterwards, is worth it: classes with
    # slots are made twice, and the first ones are 10 MB of garbage. 2 MB more are the sources of generated
    # methods, kept for tracebacks.
    gc.disable()
    from server.serving import serve

    linecache.clearcache()
    gc.collect()
    gc.freeze()
    gc.enable()
    return serve(outcome, compose, read_fd, write_fd)


def _take_pipes() -> tuple[int, int]:
    """Private descriptors for the protocol. What any library or child reads or prints goes elsewhere:
    standard output becomes standard error, standard input is empty.
    """
    read_fd, write_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(null, 1)
        os.dup2(null, 2)
    os.close(null)
    return read_fd, write_fd
