"""What a run pins at its start: roles, their system texts, prompts, tool schemas, the workspace's guidance."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from orchestration.agents.roles import Role, filled, packaged_prompts, packaged_roles, pinned_roles
from orchestration.agents.tools.catalogue import pinned_specs, schemas
from orchestration.edits.text import BinaryContentError, FileText
from orchestration.errors import ConfigurationError
from orchestration.events import DefinitionsPinned
from orchestration.live_run import LiveRun
from orchestration.workspace.objects import ObjectStore
from providers.messages import ToolSpec

GUIDANCE_FILE = "AGENTS.md"
GUIDANCE_CHARACTERS = 16_000


@dataclass(frozen=True, slots=True)
class Definitions:
    """`guidance` is the untrusted text of the workspace's AGENTS.md, or empty."""

    roles: Mapping[str, Role]
    digests: Mapping[str, str]
    tool_specs: Mapping[str, ToolSpec]
    prompts: Mapping[str, str]
    guidance: str = ""
    _specs: dict[frozenset[str], tuple[ToolSpec, ...]] = field(default_factory=dict, repr=False)

    def role(self, name: str) -> Role:
        """Raises ConfigurationError for a role the run does not have."""
        if name not in self.roles:
            raise ConfigurationError(f"there is no role {name!r}; the roles are {', '.join(self.roles)}")
        return self.roles[name]

    def digest(self, name: str) -> str:
        return self.digests[name]

    def prompt(self, name: str, /, **values: object) -> str:
        """A prompt of the run with its fields filled in."""
        return filled(self.prompts[name], **values)

    def specs(self, names: Mapping[str, object]) -> tuple[ToolSpec, ...]:
        """The pinned specifications, in a fixed order so that a request's prefix stays the same; one tuple for the
        same names, so that what is derived from it is derived once.
        """
        key = frozenset(names)
        known = self._specs.get(key)
        if known is None:
            known = tuple(spec for name, spec in self.tool_specs.items() if name in key)
            self._specs[key] = known
        return known


async def pin(live: LiveRun) -> Definitions:
    """Stores what is packaged now as blobs of the run, and gives it; the guidance is not known yet."""
    packaged, prompts, tools = packaged_roles(), packaged_prompts(), schemas()
    roles = {name: await live.put_blob(role.source.encode()) for name, role in packaged.items()}
    event = DefinitionsPinned(
        roles=roles,
        tools=await live.put_blob(tools),
        prompts=await live.put_blob(msgspec.json.encode(prompts)),
    )
    await live.record(event)
    return Definitions(packaged, roles, pinned_specs(tools), prompts)


async def pinned(live: LiveRun) -> Definitions:
    """What the run pinned, from its blobs; the guidance is not known yet."""
    sources = {name: await live.blob(digest) for name, digest in live.state.roles.items()}
    specs = pinned_specs(await live.blob(live.state.tools))
    prompts = packaged_prompts()  # for those that the run, of an earlier version, did not pin
    if live.state.prompts:
        prompts |= msgspec.json.decode(await live.blob(live.state.prompts), type=dict[str, str])
    return Definitions(pinned_roles(sources), live.state.roles, specs, prompts)


def guided(definitions: Definitions, objects: ObjectStore, base: str) -> Definitions:
    """With the guidance that the base holds."""
    return replace(definitions, guidance=_guidance(objects, base))


def _guidance(objects: ObjectStore, base: str) -> str:
    data = objects.read(base, GUIDANCE_FILE)
    if not data:
        return ""
    try:
        return FileText.decode(data).text[:GUIDANCE_CHARACTERS]
    except BinaryContentError:
        return ""
