"""A started command-line agent until it has ended: its output read, its input fed, its limits of time kept."""

from contextlib import suppress
from typing import Protocol

import anyio

from providers import errors
from providers.agents.description import AgentDescription
from providers.agents.printed_lines import LineSplitter
from providers.base import ProviderProcess

_DRAIN_S = 3.0  # for what is in the pipes after the end
_COMPLAINTS = 8 * 1024


class Reading(Protocol):
    """Who understands the lines."""

    name: str
    too_long: int

    async def take(self, line: bytes) -> None: ...
    def last_words(self, stderr: bytes) -> str: ...


class Running:
    """Nothing waits for longer than the description allows. `complaints` is the end of standard error."""

    def __init__(self, process: ProviderProcess, reading: Reading, description: AgentDescription) -> None:
        self._process = process
        self._reading = reading
        self._description = description
        self._code: int | None = None
        self._ended = anyio.Event()
        self._complained = anyio.Event()
        self.complaints = b""

    async def to_end(self, prompt: bytes | None) -> int:
        """The exit code. Raises ProviderTimeoutError, and what reading raises."""
        fault: Exception | None = None
        with anyio.move_on_after(self._description.limit_s) as whole:
            async with anyio.create_task_group() as group:
                reading = anyio.CancelScope()
                group.start_soon(self._wait, reading)
                group.start_soon(self._listen)
                if prompt is not None:
                    group.start_soon(self._feed, prompt)
                try:
                    with reading:
                        await self._read()
                    with anyio.fail_after(self._description.idle_s):
                        await self._ended.wait()
                    with anyio.move_on_after(_DRAIN_S):
                        await self._complained.wait()
                except TimeoutError:
                    fault = self._hanging()
                except Exception as error:  # noqa: BLE001 - raised again below: out of the group it is itself
                    fault = error
                group.cancel_scope.cancel()
        if whole.cancelled_caught:
            fault = errors.ProviderTimeoutError(
                f"{self._reading.name} took longer than {self._description.limit_s:g} s and was stopped",
                retryable=False,
            )
        if fault is not None:
            raise fault
        assert self._code is not None
        return self._code

    async def _read(self) -> None:
        output = self._process.stdout()
        splitter = LineSplitter()
        while True:
            with anyio.fail_after(self._description.idle_s):
                chunk = await anext(output, b"")
            lines = splitter.feed(chunk) if chunk else splitter.end()
            for line in lines:
                await self._reading.take(line)
            self._reading.too_long = splitter.too_long
            if not chunk:
                return

    async def _listen(self) -> None:
        """However much it complains, the end of it is kept."""
        async for chunk in self._process.stderr():
            self.complaints = (self.complaints + chunk)[-_COMPLAINTS:]
        self._complained.set()

    async def _wait(self, reading: anyio.CancelScope) -> None:
        """What a daemon holds open is not waited for: its parent has ended, and so has the task."""
        self._code = await self._process.wait()
        self._ended.set()
        await anyio.sleep(_DRAIN_S)
        reading.cancel()

    async def _feed(self, prompt: bytes) -> None:
        with suppress(BrokenPipeError):  # it reads no further, which it may
            await self._process.send(prompt)
        await self._process.close_input()

    def _hanging(self) -> errors.ProviderTimeoutError:
        said = self._reading.last_words(self.complaints)
        return errors.ProviderTimeoutError(
            f"{self._reading.name} said nothing for {self._description.idle_s:g} s and was stopped"
            + (f"; before that: {said}" if said else ""),
            retryable=False,
        )
