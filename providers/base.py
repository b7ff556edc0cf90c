"""The two provider contracts, and the narrow process port that command-line agents are given.

A *model* completes a message; an *agent* runs its own tool loop in its own tree and calls back for
permission. Forcing both into one call leaks, so they stay two.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from providers.messages import Answer, Request, TextDelta
from providers.usage import UNKNOWN, ZERO, Usage

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
    async def close_input(self) -> None:
        """The process reads the end of its input; nothing can be sent any more."""

    def stdout(self) -> AsyncIterator[bytes]: ...
    def stderr(self) -> AsyncIterator[bytes]:
        """Nothing for a process that was started without `stderr`."""

    def errors(self, limit: int = 4096) -> bytes:
        """The last `limit` bytes of standard error so far, which is drained by itself unless `stderr` was asked for."""

    async def wait(self) -> int:
        """The leader's exit code, negative for a signal; what it left alive is ended then."""

    async def kill(self) -> None:
        """Ends the whole group: SIGTERM, a grace period, SIGKILL, then whatever carries its token."""


class ProcessPort(Protocol):
    """What an agent adapter may ask of the process launcher."""

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bool = False,
        stderr: bool = False,
        purpose: str = "agent",
    ) -> ProviderProcess:
        """`env` is added to an allow-listed environment. With `stderr` the caller reads standard error as well: the
        process would stop at a full pipe. `purpose` is for the ledger of processes. Raises
        ProcessError (of `orchestration`) when it cannot be started.
        """


# --- agents ------------------------------------------------------------------------------------------


class AgentTask(msgspec.Struct, frozen=True, kw_only=True):
    """What an external agent is given: a prompt and a folder that is its own. `environment` is what commands
    in the folder need; `scratch` a folder beside it for temporary files, empty at the start. `session`: an
    earlier session of the same agent in the same files, to go on with. `label` names run and task for the
    ledger of processes. `usd_left`: what it may spend, for one that can be told; None: no limit.
    """

    prompt: str
    folder: Path
    scratch: Path
    model: str | None = None
    session: str | None = None
    environment: Mapping[str, str] = {}
    label: str = ""
    usd_left: float | None = None


class AgentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something an external agent reported. Nothing of it decides what the result is.

    `text`: a piece of its answer, `thought` of its reasoning. `tool`: it began to use a tool (`tool`, `subject`, `call_id`).
    `tool_result`: the same call has ended (`is_error`; `text` is what came back, `edits` that files may
    differ now). `usage`: what was spent since the last such event. `session`: its session's id. `remark`:
    a line for people.
    """

    kind: Literal["text", "thought", "tool", "tool_result", "usage", "session", "remark"]
    text: str = ""
    tool: str = ""
    subject: str = ""
    call_id: str = ""
    is_error: bool = False
    edits: bool = True
    usage: Usage = ZERO
    session: str = ""


class AgentResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an external agent ended: by its own report, which says nothing about its files. `ok` False: it
    says that it failed, and `summary` why. `usage` is of the whole session, events included. `denied`: what
    it was not allowed to do, by its own word.
    """

    ok: bool
    summary: str = ""
    usage: Usage = UNKNOWN
    session: str | None = None
    denied: tuple[str, ...] = ()


class PermissionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An agent asks before it acts. `paths`: the files it names, absolute; `subject` is what a person is shown."""

    kind: Literal["read", "edit", "command", "fetch", "other"]
    subject: str
    paths: tuple[str, ...] = ()


AskPermission = Callable[[PermissionRequest], Awaitable[bool]]
OnAgentEvent = Callable[[AgentEvent], Awaitable[None]]


class AgentProvider(Protocol):
    """Runs its own tool loop in its own folder."""

    @property
    def name(self) -> str:
        """What it is called in a model id, e.g. `claude-code`."""

    @property
    def form(self) -> str:
        """How it is driven, for the journal: `command` or `acp`."""

    @property
    def own_files(self) -> tuple[str, ...]:
        """Names of files and folders (patterns as of fnmatch, `/` for a path from the root) by which a
        workspace would configure the agent itself. It is given a folder without them.
        """

    @property
    def reports_cost(self) -> bool:
        """Whether its usage holds USD, so that a limit in USD can be kept."""

    @property
    def auto(self) -> bool:
        """Whether a run's approval `auto` is enough to start it. False for one that cannot be kept from running any
        command.
        """

    @property
    def resumes(self) -> bool:
        """Whether it can go on with a session by its id."""

    async def run(self, task: AgentTask, *, on_event: OnAgentEvent, ask: AskPermission) -> AgentResult:
        """One task, from the start of a process to the end of all it left. Cancellation, and whatever `on_event`
        raises, end the process group before it passes through. Raises ProviderError when the agent
        cannot do its work: AuthenticationError when it wants a login, ProviderTimeoutError when it hangs,
        BadResponseError when what it says is not its protocol, SessionLostError when it does not know the
        session it was to go on with.
        """

    async def aclose(self) -> None: ...
