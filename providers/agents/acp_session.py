"""One session with an ACP agent, from `initialize` to its end, over a connection that somebody else made.

Requests are built with the SDK's models; answers are read leniently, since agents of all versions are about. The SDK stands
on asyncio, so the one thing that must outlive a cancellation, the prompt that is being answered, is an asyncio task here.
"""

import asyncio
import contextlib
import gc
import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from providers import errors
from providers.agents import acp_faults
from providers.agents.acp_client import AcpClient
from providers.agents.acp_description import AcpDescription
from providers.agents.acp_stream import AgentStream
from providers.agents.acp_updates import Updates, text_of
from providers.base import AgentTask

if TYPE_CHECKING:
    from types import ModuleType

    from acp.connection import Connection
    from acp.exceptions import RequestError
    from pydantic import BaseModel

logger = logging.getLogger(__name__)

PROTOCOL = 1


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds: `cancel` for the agent's own end of a cancelled turn, `close` for the end of its session."""

    cancel: float = 5.0
    close: float = 3.0


@dataclass(frozen=True, slots=True)
class Sdk:
    """What is used of the package `agent-client-protocol`."""

    connection: "type[Connection]"
    error: "type[RequestError]"
    schema: "ModuleType"

    def params(self, model: str, **fields: Any) -> dict[str, Any]:
        """The parameters of a request as JSON, by the name of the SDK's model; checked by it."""
        built: BaseModel = getattr(self.schema, model)(**fields)
        return built.model_dump(mode="json", by_alias=True, exclude_none=True)


async def load_sdk() -> Sdk:
    """In a worker thread: its 300 models take half a second to build."""
    return await anyio.to_thread.run_sync(_load)


def _load() -> Sdk:
    """The garbage collector would run over everything in between, and hold up the loop for 75 ms: it pauses, and what is
    loaded is kept from it for good.
    """
    pauses = gc.isenabled() and "acp.schema" not in sys.modules
    if pauses:
        gc.disable()
    try:
        from acp import schema
        from acp.connection import Connection
        from acp.exceptions import RequestError
    finally:
        if pauses:
            gc.freeze()
            gc.enable()
    return Sdk(Connection, RequestError, schema)


class AcpSession:
    """`variables` are the agent's own, `said` gives the end of its standard error. `used_key` names the variable of the key
    that it was told to log in with, if it was. A silence is noticed within twice the
    time that is allowed.
    """

    def __init__(
        self,
        name: str,
        agent: AcpDescription,
        *,
        sdk: Sdk,
        connection: "Connection",
        client: AcpClient,
        stream: AgentStream,
        updates: Updates,
        grace: Grace,
        variables: Mapping[str, str],
        said: Callable[[], str],
    ) -> None:
        self._name = name
        self._agent = agent
        self._sdk = sdk
        self._connection = connection
        self._client = client
        self._stream = stream
        self._updates = updates
        self._grace = grace
        self._variables = variables
        self._said = said
        self._abilities: Mapping[str, Any] = {}
        self._methods: Any = None
        self.about = ""
        self.used_key = ""

    @property
    def id(self) -> str:
        return self._client.session

    def check_words(self, words: str) -> None:
        """Raises ProviderError for what an agent said in place of work, though it calls its turn ended."""
        pattern = self._agent.failed_text
        if pattern and not self._updates.used_tools and re.search(pattern, words, re.IGNORECASE):
            raise acp_faults.failed(self._name, self._agent, words, self._methods)

    async def open(self, task: AgentTask, *, version: str) -> None:
        """Up to the prompt. Raises ProviderError."""
        await self._initialize(version)
        state = await self._resumed(task) if task.session else await self._new(task)
        await self._set_mode(state)
        for name, value in self._agent.options.items():
            option = next((each for each in _options(state) if each.get("id") == name), {})
            if value in _values(option):
                await self._set_option(option, value)
        if task.model:
            await self._set_model(state, task.model)

    async def _initialize(self, version: str) -> None:
        params = self._sdk.params(
            "InitializeRequest",
            protocol_version=PROTOCOL,
            client_info={"name": "antiphon", "title": "Antiphon", "version": version or "0"},
        )
        answer = await self._start("to `initialize`", "initialize", params)
        spoken = answer.get("protocolVersion")
        if spoken != PROTOCOL or isinstance(spoken, bool):
            raise acp_faults.wrong_version(self._name, spoken)
        self._abilities = _table(answer.get("agentCapabilities"))
        self._methods = answer.get("authMethods")
        info = _table(answer.get("agentInfo"))
        self.about = f"{text_of(info.get('name'))} {text_of(info.get('version'))}".strip()

    async def _new(self, task: AgentTask) -> Mapping[str, Any]:
        params = self._sdk.params("NewSessionRequest", cwd=str(task.folder), mcp_servers=[], **self._meta())
        step, method = "to `session/new`", self._key_method()
        try:
            answer = await self._start(step, "session/new", params)
        except errors.AuthenticationError:
            if method is None:
                raise
            variable, way = method
            await self._start("to `authenticate`", "authenticate", {"methodId": way})
            self.used_key = variable
            answer = await self._start(step, "session/new", params)
        session = answer.get("sessionId")
        if not isinstance(session, str) or not session:
            raise acp_faults.shapeless(self._name, "`session/new`")
        self._client.session = session
        return answer

    async def _resumed(self, task: AgentTask) -> Mapping[str, Any]:
        """Raises SessionLostError when the agent cannot go on with a session, or not with this one."""
        ways: list[tuple[str, str]] = []
        if isinstance(_table(self._abilities.get("sessionCapabilities")).get("resume"), dict):
            ways.append(("session/resume", "ResumeSessionRequest"))
        if self._abilities.get("loadSession") is True:
            ways.append(("session/load", "LoadSessionRequest"))
        why = "it keeps none"
        assert task.session is not None
        self._client.session = task.session
        self._updates.replay(on=True)
        try:
            for method, model in ways:
                params = self._sdk.params(
                    model, session_id=task.session, cwd=str(task.folder), mcp_servers=[], **self._meta()
                )
                try:
                    return await self._start(f"to `{method}`", method, params)
                except (
                    errors.BadResponseError
                ) as error:  # one agent offers `resume` and then does not know it
                    if self._stream.ended:
                        raise
                    why = str(error)
        finally:
            self._updates.replay(on=False)
        raise acp_faults.lost(self._name, why)

    def _key_method(self) -> tuple[str, str] | None:
        """The variable of a key that it was given, and its way to log in with it; no other way is taken, since that would
        need a person.
        """
        offered = {text_of(_table(method).get("id")) for method in _items(self._methods)}
        ways = self._agent.key_methods.items()
        return next((way for way in ways if self._variables.get(way[0]) and way[1] in offered), None)

    def _meta(self) -> dict[str, Any]:
        return {"field_meta": dict(self._agent.meta)} if self._agent.meta else {}

    async def _set_mode(self, state: Mapping[str, Any]) -> None:
        """The first mode of ours that the agent has. What it refuses ends the session: in another it may not ask."""
        modes = _table(state.get("modes"))
        offered = [text_of(_table(mode).get("id")) for mode in _items(modes.get("availableModes"))]
        wanted = next((mode for mode in self._agent.modes if mode in offered), None)
        if wanted is not None:
            if modes.get("currentModeId") != wanted:
                params = self._sdk.params("SetSessionModeRequest", session_id=self.id, mode_id=wanted)
                await self._start("to `session/set_mode`", "session/set_mode", params)
            return
        option = _option(state, "mode")
        wanted = next((mode for mode in self._agent.modes if mode in _values(option)), None)
        if wanted is not None:
            await self._set_option(option, wanted)
        elif self._agent.modes and (offered or option):
            known = ", ".join(offered or _values(option))
            logger.info("ACP agent %s has none of our modes, but %s", self._name, known)

    async def _set_model(self, state: Mapping[str, Any], model: str) -> None:
        option = _option(state, "model")
        values = _values(option)
        if model in values:
            await self._set_option(option, model)
            return
        models = _table(state.get("models"))  # before configuration options, some agents had this
        older = [text_of(_table(each).get("modelId")) for each in _items(models.get("availableModels"))]
        if model in older:
            params = {"sessionId": self.id, "modelId": model}
            await self._start("to `session/set_model`", "session/set_model", params)
            return
        known = ", ".join((values or older)[:20])
        mend = f"it has {known}" if known else "it lets nobody choose; leave the model out"
        raise errors.ModelNotFoundError(f"the ACP agent {self._name} has no model {model!r}: {mend}")

    async def _set_option(self, option: Mapping[str, Any], value: str) -> None:
        if option.get("currentValue") == value:
            return
        params = self._sdk.params(
            "SetSessionConfigOptionSelectRequest",
            session_id=self.id,
            config_id=text_of(option.get("id")),
            value=value,
        )
        await self._start("to `session/set_config_option`", "session/set_config_option", params)

    async def prompt(self, text: str) -> Mapping[str, Any]:
        """The answer to the prompt once the turn is over. A cancellation is told to the agent, which then has a moment to
        end its turn. Raises ProviderError.
        """
        params = self._sdk.params(
            "PromptRequest", session_id=self.id, prompt=[{"type": "text", "text": text}]
        )
        asked = asyncio.create_task(self._connection.send_request("session/prompt", params))
        try:
            await self._listen(asked)
            return self._read("to the prompt", asked)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._cancel(asked)
            raise
        finally:
            asked.cancel()
            with anyio.CancelScope(shield=True), contextlib.suppress(Exception, asyncio.CancelledError):
                await asked

    async def close(self) -> None:
        """Lets an agent that can end its session do so; never raises ProviderError, never takes long."""
        if not self.id or not isinstance(
            _table(self._abilities.get("sessionCapabilities")).get("close"), dict
        ):
            return
        params = self._sdk.params("CloseSessionRequest", session_id=self.id)
        with anyio.move_on_after(self._grace.close), contextlib.suppress(ConnectionError, self._sdk.error):
            await self._connection.send_request("session/close", params)

    async def _listen(self, asked: "asyncio.Task[Any]") -> None:
        """Until the answer is there. Raises ProviderTimeoutError when the agent falls silent."""
        heard = -1
        while not asked.done():
            if heard == self._stream.heard and not self._client.asking:
                await self._cancel(asked)
                raise self._late("during its turn", self._agent.silence_s)
            heard = self._stream.heard
            await asyncio.wait({asked}, timeout=self._agent.silence_s)

    async def _cancel(self, asked: "asyncio.Task[Any]") -> None:
        self._client.cancel()
        if asked.done():
            return
        params = self._sdk.params("CancelNotification", session_id=self.id)
        with anyio.move_on_after(self._grace.cancel):
            with contextlib.suppress(ConnectionError):
                await self._connection.send_notification("session/cancel", params)
            await asyncio.wait({asked})

    async def _start(self, step: str, method: str, params: Any) -> Mapping[str, Any]:
        """One request before the prompt. An answer without content is an empty table."""
        asked = asyncio.ensure_future(self._connection.send_request(method, params))
        try:
            with anyio.move_on_after(self._agent.start_s):
                await asyncio.wait({asked})
            if not asked.done():
                raise self._late(f"in answer {step}", self._agent.start_s)
            return self._read(step, asked)
        finally:
            asked.cancel()
            with anyio.CancelScope(shield=True), contextlib.suppress(Exception, asyncio.CancelledError):
                await asked

    def _read(self, step: str, asked: "asyncio.Future[Any]") -> Mapping[str, Any]:
        try:
            answer = asked.result()
        except ConnectionError as error:
            how = (
                f"was ended, since {self._stream.fault}," if self._stream.fault else "ended before its answer"
            )
            said = self._said() or self._stream.garbage
            raise acp_faults.ended(self._name, self._agent, step, how=how, said=said) from error
        except self._sdk.error as error:
            raise acp_faults.refused(self._name, self._agent, step, error, self._methods) from error
        if answer is None:
            return {}
        if not isinstance(answer, dict):
            raise acp_faults.shapeless(self._name, step.removeprefix("to "))
        return answer

    def _late(self, step: str, seconds: float) -> errors.ProviderError:
        return acp_faults.late(
            self._name, self._agent, step, seconds, garbage=self._stream.garbage, said=self._said()
        )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _option(state: Mapping[str, Any], category: str) -> Mapping[str, Any]:
    """The configuration option of a category, such as the model."""
    return next((option for option in _options(state) if option.get("category") == category), {})


def _options(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_table(option) for option in _items(state.get("configOptions"))]


def _values(option: Mapping[str, Any]) -> list[str]:
    """What can be chosen, of groups too."""
    found: list[str] = []
    for item in map(_table, _items(option.get("options"))):
        inner = item.get("options")
        found += [
            text_of(_table(each).get("value")) for each in (inner if isinstance(inner, list) else [item])
        ]
    return [value for value in found if value]
