"""`antiphon models`: the models that can be used now, one a line, with their windows and prices."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from providers.survey import Usable, UsableModel
    from server.settings import Settings

EXAMPLES = """  antiphon models
  antiphon models ollama
  antiphon models --json | jq -r 'select(.contextWindow >= 200000) | .id'

Each server that is set up is asked for its list, 5 s at most; installed coding
agents are listed by their name alone. The columns are id, window in tokens,
USD per million tokens in and out; `?` is unknown. Exit code 1: there is none.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", nargs="?", metavar="PROVIDER", help="only those of this provider")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    import anyio

    root = invocation.workspace()
    settings, _ = invocation.settings(root)
    wanted = invocation.args.provider
    usable = anyio.run(_asked, invocation, root, settings, wanted)
    terminal = invocation.terminal
    for model in usable.models:
        terminal.emit(model_json(model))
    _print(invocation, usable.models)
    for probe in usable.silent:
        terminal.remark(f"{probe.name} is left out: {probe.error}")
    if not usable.models:
        terminal.remark("no model can be used; `antiphon doctor` says what was found and what is missing")
    return 0 if usable.models else 1


async def _asked(invocation: Invocation, root: Path, settings: "Settings", wanted: str | None) -> "Usable":
    from orchestration.errors import UsageError
    from providers.survey import NONE, with_agents
    from server.app import open_providers
    from server.external_agents import agents_found

    environ = invocation.environ
    agents = await agents_found(root, settings=settings, environ=environ, ask=False)
    async with open_providers(settings, environ) as registry:
        names = [status.name for status in registry.survey.configured()]
        if wanted is not None and wanted not in {*names, *(agent.name for agent in agents)}:
            raise UsageError(f"unknown provider {wanted!r}; known are {', '.join(names)}, and agents")
        installed = [agent.name for agent in agents if agent.program and wanted in {None, agent.name}]
        if wanted is None or wanted in names:
            return with_agents(await registry.survey.usable(wanted), installed)
    return with_agents(NONE, installed)


def model_json(model: "UsableModel") -> dict[str, object]:
    """Everything spelled out; null is unknown."""
    profile = model.profile
    prices = profile.prices
    return {
        "id": model.id,
        "contextWindow": profile.context_window,
        "maxOutputTokens": profile.max_output_tokens,
        "inputUsd": prices.input if prices else None,
        "cachedInputUsd": prices.cached_input if prices else None,
        "outputUsd": prices.output if prices else None,
        "abilities": list(profile.abilities) if profile.abilities is not None else None,
        "source": model.source,
    }


def _print(invocation: Invocation, models: "Sequence[UsableModel]") -> None:
    """Aligned columns; their heads only where a person reads them."""
    terminal = invocation.terminal
    rows = [(model.id, *_facts(model)) for model in models]
    head = [("model", "window", "in", "out")] if terminal.animated and rows else []
    widths = [max(len(row[place]) for row in [*head, *rows]) for place in range(4)] if rows else []
    for row in [*head, *rows]:
        figures = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        terminal.say(("  ".join([row[0].ljust(widths[0]), *figures]), "bold" if row in head else ""))


def _facts(model: "UsableModel") -> tuple[str, str, str]:
    from server.terminal.figures import UNKNOWN

    profile = model.profile
    window = UNKNOWN if profile.context_window is None else str(profile.context_window)
    if profile.prices is None:
        return window, UNKNOWN, UNKNOWN
    return window, f"{profile.prices.input:g}", f"{profile.prices.output:g}"
