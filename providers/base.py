"""The two provider contracts, and the narrow process port that command-line agents are given.

A *model* completes a message; an *agent* runs its own tool loop in its own tree and calls back for
permission. Forcing both into one call leaks, so they stay two.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from providers.messages import Answer, Request, TextDelta
from providers.usage import Usage

OnDelta = Callable[[TextDelta], None]


class Prices(msgspec.Struct, frozen=True):
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float | None = None


class ModelProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a model. None means unknown, never zero. `abilities` are some of `images`, `tools`,
    `reasoning`, `schema`, `cache`.
    """

    context_window: int | None = None
    max_output_tokens: int | None = None
    prices: Prices | None = None
    abilities: tuple[str, ...] | None = None


class ModelProvider(Protocol):
    """Completes a message."""

    @property
    def name(self) -> str:
        """The prefix of its model ids, e.g. `openai`."""

    def profile(self, model: str) -> ModelProfile: ...

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        """One call. Transport faults are retried inside; cancellation closes the connection at once.
        Raises ProviderError and nothing else (cancellation aside).
        """

    async def aclose(self) -> None: ...


class ProviderProcess(Protocol):
    """A started process group of the launcher."""

    async def send(self, data: bytes) -> None: ...
    def stdout(self) -> AsyncIterator[bytes]: ...
    async def wait(self) -> int: ...
    async def kill(self) -> None:
        """Ends the whole group: SIGTERM, a grace period, SIGKILL."""


class ProcessPort(Protocol):
    """What an agent adapter may ask of the process launcher."""

    async def start(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bool = False
    ) -> ProviderProcess: ...


class AgentTask(msgspec.Struct, frozen=True):
    """What an external agent is given: a prompt and a folder that is its own."""

    prompt: str
    folder: Path
    model: str | None = None


class AgentEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something an external agent reported: text, a tool it used, usage."""

    kind: str
    text: str = ""
    usage: Usage | None = None


class AgentResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an external agent ended. The result itself is the difference of its folder, never this."""

    ok: bool
    summary: str = ""
    usage: Usage = Usage(None, None, None, None, None)
    session: str | None = None


AskPermission = Callable[[str, str], Awaitable[bool]]


class AgentProvider(Protocol):
    """Runs its own tool loop in its own folder."""

    @property
    def name(self) -> str: ...

    async def run(
        self, task: AgentTask, *, on_event: Callable[[AgentEvent], None], ask: AskPermission
    ) -> AgentResult: ...

    async def aclose(self) -> None: ...
