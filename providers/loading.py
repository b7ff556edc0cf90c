"""Loads modules and builds tables in a worker thread, so that an event loop beside it goes on.

A thread shares the interpreter, which switches every 5 ms, so only one loads at a time. What does not give way is a
collection of the whole heap, 50 ms and more, which new modules bring about: the collector rests meanwhile, and what
was loaded, which stays for good, is left out of its later rounds.
"""

import gc
import threading
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

Loaded = TypeVar("Loaded")
_one_at_a_time = threading.Lock()


async def load(function: Callable[[], Loaded]) -> Loaded:
    """What `function` gives, called in a worker thread."""
    return await anyio.to_thread.run_sync(_quietly, function)


def _quietly(function: Callable[[], Loaded]) -> Loaded:
    with _one_at_a_time:
        resting = not gc.isenabled()
        gc.disable()
        try:
            loaded = function()
            gc.freeze()
        finally:
            if not resting:
                gc.enable()
    return loaded
