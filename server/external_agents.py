"""Composes the external agents: the built-in ones and the user's, with the launcher that starts them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from orchestration.edge import RandomIds, SystemClock
from orchestration.errors import ProcessError
from orchestration.workspace.environment import find_program
from orchestration.workspace.local_launcher import LocalLauncher
from providers.agents.catalogue import AgentCatalogue, FoundAgent, build_agents
from server.handshake import VERSION
from server.settings import Settings
from server.settings_files import user_file


def external_agents(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    processes: LocalLauncher | None = None,
    forbidden: Sequence[Path] = (),
) -> AgentCatalogue:
    """Raises ProviderConfigurationError for a description that is wrong. `forbidden`: folders where no program is
    looked for. Without `processes` nothing can be run, but everything be found.
    """
    return build_agents(
        settings.agents,
        str(user_file()),
        processes=processes,
        environment=environ,
        find=lambda name: find_program(name, environ.get("PATH", ""), forbidden),
        folder=settings.data_folder(environ),
        own_version=VERSION,
    )


async def agents_found(
    root: Path | None, *, settings: Settings, environ: Mapping[str, str], ask: bool
) -> Sequence[FoundAgent]:
    """The external agents of this machine; with `ask` each is started to tell its version. Raises
    ProviderConfigurationError for descriptions that are wrong.
    """
    forbidden = (root,) if root is not None else ()
    folder = settings.data_folder(environ)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    launcher = LocalLauncher(
        folder / "processes", RandomIds().new("process"), clock=SystemClock(), forbidden=forbidden
    )
    catalogue = external_agents(settings, environ, processes=launcher, forbidden=forbidden)
    found = {agent.name: agent for agent in catalogue.found()}

    async def probe(agent: FoundAgent) -> None:
        try:
            found[agent.name] = await catalogue.probed(agent)
        except ProcessError as error:
            found[agent.name] = replace(agent, problem=str(error))

    try:
        async with anyio.create_task_group() as group:
            for agent in catalogue.found() if ask else ():
                group.start_soon(probe, agent)
    finally:
        await launcher.aclose()
    return list(found.values())
