"""Records what providers answered, and answers from such a recording with no network at all.

A recording is a file of JSON lines, one per call: the content of the request as a hash, the deltas in their order with
the seconds since the start, and the answer or the error. A request that was made several times gets its answers in
their order. A recording holds what models wrote, so it is as private as the conversation; it holds no key.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

import anyio
import msgspec

from providers import errors
from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.cache import content_key
from providers.messages import Answer, Request, TextDelta
from providers.profiles import UNKNOWN_PROFILE

VERSION = 1
ERRORS: dict[str, type[errors.ProviderError]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ProviderError)
}


class RecordedError(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    message: str
    retry_after: float | None = None
    retryable: bool = False


class RecordedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call. `deltas` are (seconds since the start, text, restart)."""

    provider: str
    model: str
    key: str
    deltas: tuple[tuple[float, str, bool], ...] = ()
    answer: Answer | None = None
    error: RecordedError | None = None
    version: int = VERSION


class Recorder:
    """Appends calls to a file, one whole line at a time. A second process appends to the same file safely."""

    def __init__(self, path: Path) -> None:
        """Raises ProviderConfigurationError when nothing can be written there: before any call is paid for."""
        self._path = path
        self._writing = anyio.Lock()
        self._write(b"")

    async def append(self, call: RecordedCall) -> None:
        line = msgspec.json.encode(call) + b"\n"
        async with self._writing:
            await anyio.to_thread.run_sync(self._write, line)

    def _write(self, line: bytes) -> None:
        try:
            with self._path.open("ab", buffering=0) as file:
                _write_all(file, line)
        except OSError as error:
            raise errors.ProviderConfigurationError(
                f"the recording {self._path} cannot be written: {error}"
            ) from error


class RecordingProvider:
    """A ModelProvider whose every call is recorded; one that is cancelled is not."""

    def __init__(self, inner: ModelProvider, recorder: Recorder, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._recorder = recorder
        self._monotonic = monotonic

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        began = self._monotonic()
        deltas: list[tuple[float, str, bool]] = []

        def note(delta: TextDelta) -> None:
            if not delta.waiting:  # a wait is of its time
                deltas.append((round(self._monotonic() - began, 4), delta.text, delta.restart))
            if on_delta is not None:
                on_delta(delta)

        call = RecordedCall(self.name, request.model, content_key(self.name, request))
        try:
            answer = await self._inner.complete(request, on_delta=note)
        except errors.ProviderError as error:
            failed = RecordedError(type(error).__name__, str(error), error.retry_after, error.retryable)
            await self._recorder.append(msgspec.structs.replace(call, deltas=tuple(deltas), error=failed))
            raise
        await self._recorder.append(msgspec.structs.replace(call, deltas=tuple(deltas), answer=answer))
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class Recording:
    """The calls of a recorded file, each handed out once. Raises ProviderConfigurationError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls: dict[str, deque[RecordedCall]] = {}
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise errors.ProviderConfigurationError(
                f"the recording {path} cannot be read: {error}"
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                call = msgspec.json.decode(line, type=RecordedCall)
            except msgspec.DecodeError as error:
                if number == len(lines):  # cut off while it was written
                    break
                raise errors.ProviderConfigurationError(
                    f"line {number} of {path} is no recorded call: {error}"
                ) from error
            self._calls.setdefault(call.key, deque()).append(call)

    def take(self, key: str) -> RecordedCall | None:
        calls = self._calls.get(key)
        return calls.popleft() if calls else None


class ReplayingProvider:
    """A ModelProvider that answers from a recording. `sleep`: deltas come as they came; without it all at once."""

    def __init__(
        self,
        name: str,
        recording: Recording,
        *,
        profiles: Callable[[str], ModelProfile] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._name = name
        self._recording = recording
        self._profiles = profiles
        self._sleep = sleep

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return UNKNOWN_PROFILE if self._profiles is None else self._profiles(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """Raises the recorded error, or BadResponseError for a request that was not recorded."""
        call = self._recording.take(content_key(self._name, request))
        if call is None:
            raise errors.BadResponseError(
                f"the recording holds no further answer of {self._name}/{request.model} to this request: the "
                "run went another way than when it was recorded",
                retryable=False,
            )
        passed = 0.0
        for at, text, restart in call.deltas:
            if self._sleep is not None and at > passed:
                await self._sleep(at - passed)
                passed = at
            if on_delta is not None:
                on_delta(TextDelta(text, restart))
        if call.error is not None:
            raise _raised(call.error)
        assert call.answer is not None
        return call.answer

    async def aclose(self) -> None:
        """Nothing is held open."""


def _raised(recorded: RecordedError) -> errors.ProviderError:
    error = ERRORS.get(recorded.kind, errors.BadResponseError)(recorded.message)
    error.retry_after = recorded.retry_after
    error.retryable = recorded.retryable
    return error


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = file.write(view)
        view = view[written or 0 :]
