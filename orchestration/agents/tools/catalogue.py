"""All tools by name, and what of them a role is offered."""

from collections.abc import Iterable

import msgspec

from orchestration.agents.tools.contract import Tool
from orchestration.agents.tools.editing import DELETE_FILE, EDIT_FILE, MOVE_FILE, WRITE_FILE
from orchestration.agents.tools.reading import LIST_FILES, READ_FILE, SEARCH
from orchestration.agents.tools.working import DELEGATE, FINISH, RUN_COMMAND, SUBMIT_PLAN
from orchestration.errors import ConfigurationError
from providers.messages import ToolSpec

TOOLS: dict[str, Tool] = {
    tool.spec.name: tool
    for tool in (
        READ_FILE,
        LIST_FILES,
        SEARCH,
        EDIT_FILE,
        WRITE_FILE,
        MOVE_FILE,
        DELETE_FILE,
        RUN_COMMAND,
        DELEGATE,
        FINISH,
        SUBMIT_PLAN,
    )
}


def offered(names: Iterable[str], where: str) -> dict[str, Tool]:
    """The named tools. Raises ConfigurationError for a name that is no tool."""
    chosen: dict[str, Tool] = {}
    for name in names:
        if name not in TOOLS:
            raise ConfigurationError(f"{where} names the tool {name!r}; the tools are {', '.join(TOOLS)}")
        chosen[name] = TOOLS[name]
    return chosen


def schemas() -> bytes:
    """The specifications of all tools as JSON: what a run pins."""
    return msgspec.json.encode([tool.spec for tool in TOOLS.values()])


def pinned_specs(body: bytes) -> dict[str, ToolSpec]:
    return {spec.name: spec for spec in msgspec.json.decode(body, type=list[ToolSpec])}
