"""From a model id `AGENT[/MODEL]` to an agent that can be run; which are installed, and in which version.

A version is a process, so it is asked for only by who may start one: before an agent's first task, or when a
person asks. Finding a program starts nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from providers import errors
from providers.agents.acp_description import PREFIX, AcpDescription, load_acp
from providers.agents.command_agent import CommandAgent
from providers.agents.description import AgentDescription, load_descriptions
from providers.agents.on_demand import OnDemand
from providers.agents.printed_lines import plain
from providers.base import AgentProvider, ProcessPort, ProviderProcess

Description = AgentDescription | AcpDescription

_MOST = 64 * 1024
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """`program` is empty when it is not installed, `version` when it was not asked for. `problem` names the mend."""

    name: str
    title: str
    program: str
    version: str = ""
    problem: str = ""


class AgentCatalogue:
    """Agents are made once each. `find`: the absolute path of a program by its name, None when there is none."""

    def __init__(
        self,
        descriptions: Mapping[str, Description],
        *,
        processes: ProcessPort | None,
        environment: Mapping[str, str],
        find: Callable[[str], str | None],
        folder: Path,
        own_version: str = "",
    ) -> None:
        """`folder`: where a program is asked for its version, outside every workspace. Without `processes`
        nothing can be run, but everything be found. `own_version` is what agents are told of us.
        """
        self._own_version = own_version
        self._descriptions = descriptions
        self._processes = processes
        self._environment = environment
        self._find = find
        self._folder = folder
        self._ready: dict[str, AgentProvider] = {}
        self._versions: dict[str, str] = {}
        self._asking: dict[str, anyio.Lock] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._descriptions)

    def resolve(self, model: str) -> tuple[AgentProvider, str | None] | None:
        """See `AgentSource.resolve`."""
        name, slash, chosen = model.partition("/")
        if name == PREFIX:
            acp, slash, chosen = chosen.partition("/")
            name = f"{PREFIX}/{acp}"
        description = self._descriptions.get(name)
        if description is None:
            if name.startswith(f"{PREFIX}/"):
                raise errors.ProviderConfigurationError(self._unknown(name))
            return None
        if slash and not chosen:
            raise errors.ProviderConfigurationError(f"{model!r} names no model: write {name} or {name}/MODEL")
        if chosen and isinstance(description, AgentDescription) and not description.model:
            raise errors.ProviderConfigurationError(
                f"{name} takes no model by its name: set one in its own configuration, or give [agents.{name}] "
                "a `model`"
            )
        agent = self._ready.get(name)
        if agent is None:
            agent = self._ready[name] = self._made(name, description)
        return agent, chosen or None

    def found(self) -> list[FoundAgent]:
        """Every agent with the program that was found. Starts nothing."""
        return [
            FoundAgent(
                name,
                description.title or name,
                self._program(description) or "",
                problem="" if self._program(description) else _missing(name, description),
            )
            for name, description in self._descriptions.items()
        ]

    async def probed(self, agent: FoundAgent) -> FoundAgent:
        """With its version. Never raises ProviderError."""
        if not agent.program:
            return agent
        description = self._descriptions[agent.name]
        try:
            version = await self._version(agent.name, description, agent.program)
        except errors.ProviderError as error:
            return FoundAgent(agent.name, agent.title, agent.program, problem=str(error))
        problem = _too_old(agent.name, description, version)
        return FoundAgent(agent.name, agent.title, agent.program, version, problem)

    async def aclose(self) -> None:
        agents, self._ready = list(self._ready.values()), {}
        for agent in agents:
            await agent.aclose()

    def _made(self, name: str, description: Description) -> AgentProvider:
        program = self._program(description)
        if program is None:
            raise errors.ProviderConfigurationError(_missing(name, description))

        async def check() -> None:
            if description.minimum:
                problem = _too_old(name, description, await self._version(name, description, program))
                if problem:
                    raise errors.ProviderConfigurationError(problem)

        if isinstance(description, AcpDescription):
            from providers.agents.acp import AcpProvider  # its modules are for who has such a task

            return AcpProvider(
                name.removeprefix(f"{PREFIX}/"),
                description,
                program,
                processes=self._started_by(),
                environment=self._environment,
                check=check,
                version=self._own_version,
            )
        return CommandAgent(
            name,
            description,
            program,
            processes=self._started_by(),
            environment=self._environment,
            check=check,
        )

    def _unknown(self, name: str) -> str:
        known = ", ".join(each for each in self._descriptions if each.startswith(f"{PREFIX}/"))
        own = name.removeprefix(f"{PREFIX}/") or "NAME"
        return (
            f"there is no ACP agent {own!r}: known are {known}; a further one is [agents.{own}] with "
            'protocol = "acp" and a command in your configuration'
        )

    def _started_by(self) -> ProcessPort:
        return _NOWHERE if self._processes is None else self._processes

    def _program(self, description: Description) -> str | None:
        if "/" not in description.program:
            return self._find(description.program)
        path = Path(description.program).expanduser()
        return str(path) if path.is_absolute() and path.is_file() else None

    async def _version(self, name: str, description: Description, program: str) -> str:
        async with self._asking.setdefault(program, anyio.Lock()):
            if program not in self._versions:
                self._versions[program] = await self._ask_version(name, description, program)
            return self._versions[program]

    async def _ask_version(self, name: str, description: Description, program: str) -> str:
        process = await self._started_by().start(
            [program, *description.version],
            cwd=self._folder,
            env={"NO_COLOR": "1", **description.set},
            purpose=f"version of {name}",
        )
        output = b""
        try:
            with anyio.move_on_after(description.version_s) as limit:
                async for chunk in process.stdout():
                    output += chunk
                    if len(output) > _MOST:
                        break
                else:
                    await process.wait()
            said = plain((output or process.errors()).decode("utf-8", "replace"))
        finally:
            with anyio.CancelScope(shield=True):
                await process.kill()
        if limit.cancelled_caught:
            raise errors.ProviderTimeoutError(
                f"{name}: `{program} {' '.join(description.version)}` did not answer within {description.version_s:g} s"
            )
        number = _NUMBER.search(said)
        if number is None:
            raise errors.BadResponseError(
                f"{name}: `{program} {' '.join(description.version)}` says no version but {said.strip()[:200]!r}",
                retryable=False,
            )
        return number[0]


class _NoProcesses:
    """For who only looks: nothing is started."""

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
        del cwd, env, stdin, stderr, purpose
        raise errors.ProviderConfigurationError(f"{argv[0]} cannot be started from here")


_NOWHERE = _NoProcesses()


def build_agents(
    user: Mapping[str, Mapping[str, object]],
    source: str,
    *,
    processes: ProcessPort | None,
    environment: Mapping[str, str],
    find: Callable[[str], str | None],
    folder: Path,
    own_version: str = "",
) -> AgentCatalogue:
    """The built-in agents and the user's own (`[agents.NAME]` of `source`). Raises ProviderConfigurationError."""
    return AgentCatalogue(
        _both(load_descriptions(user, source), load_acp(user, source)),
        processes=processes,
        environment=environment,
        find=find,
        folder=folder,
        own_version=own_version,
    )


def _both(
    commands: Mapping[str, AgentDescription], acp: Mapping[str, AcpDescription]
) -> Mapping[str, Description]:
    def either(name: str) -> Description:
        return acp[name] if name in acp else commands[name]

    return OnDemand((*commands, *acp), either)


def _missing(name: str, description: Description) -> str:
    how = f"; {description.install}" if description.install else ""
    own, keys = name, 'program = "/path/to/it"'
    if isinstance(description, AcpDescription):
        words = ", ".join(f'"{word}"' for word in ("/path/to/it", *description.command[1:]))
        own, keys = name.removeprefix(f"{PREFIX}/"), f'protocol = "acp" and command = [{words}]'
    return (
        f"{name} is not installed: {description.program!r} was not found on PATH{how}, or name it: "
        f"[agents.{own}] with {keys} in your configuration"
    )


def _too_old(name: str, description: Description, version: str) -> str:
    if not description.minimum or not version or _numbers(version) >= _numbers(description.minimum):
        return ""
    how = f" ({description.install})" if description.install else ""
    return f"{name} {version} is too old: {description.minimum} or later is needed{how}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
