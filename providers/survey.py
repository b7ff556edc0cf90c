"""What of all providers can be used: found in settings and environment, answered by their servers, known of models.

For `antiphon doctor` and `antiphon models`. Calls of a run are the registry's; nothing is retried here, and every
server is asked for a limited time. No key is in any result.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import msgspec

from providers import errors
from providers.base import ModelProfile
from providers.composition import Surroundings, make_endpoint
from providers.loading import load
from providers.scripts import script_names
from providers.vendors import DEFAULT_SOURCES, VENDORS, Resolved, known_providers

if TYPE_CHECKING:
    from providers.http.listing import ListedModel

LIST_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What was found of one provider, for `doctor`. Holds no key.

    `ready`: calls can be made. `chosen`: somebody set it up, it is not just where a vendor's would be. `sources`:
    where each thing came from, as (what, where), e.g. ("key", "OPENAI_API_KEY"). `problem` names what is missing or
    wrong and the mend; empty when ready.
    """

    name: str
    ready: bool
    address: str
    sources: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """What a provider answered when its list of models was asked for. `error` is empty when it did."""

    name: str
    seconds: float
    models: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class UsableModel:
    """A model that can be called now, by its full id, with what is known of it. `source`: `server` (it lists it),
    `settings` (the user describes it), `script`, or `agent` (no model: it runs its own loop).
    """

    id: str
    profile: ModelProfile
    source: str = "server"


@dataclass(frozen=True, slots=True)
class Usable:
    """Sorted by id. `silent`: providers that somebody set up and that did not answer."""

    models: tuple[UsableModel, ...]
    silent: tuple[Probe, ...] = ()


NONE = Usable(())


def with_agents(usable: Usable, agents: Iterable[str]) -> Usable:
    """With the installed coding agents, whose names are ids too; what they cost and hold is theirs to know."""
    added = tuple(UsableModel(name, ModelProfile(), "agent") for name in agents)
    return Usable((*usable.models, *added), usable.silent)


class Survey:
    """`known` gives what is known of a model by provider and name."""

    def __init__(self, around: Surroundings, known: Callable[[str, str], ModelProfile]) -> None:
        self._around = around
        self._config = around.config
        self._known = known

    def configured(self) -> list[ProviderStatus]:
        """What was found for each provider, ready or not, never the key. No store, command or server is asked."""
        names = known_providers(self._config)
        return [*(self._status(name) for name in names), self._scripted_status()]

    async def stored_keys(self) -> dict[str, str]:
        """By provider whose key is to come from a store: an empty text where one has it, else what is missing."""
        from providers.key_stores import StoredKey

        said: dict[str, str] = {}
        for name in known_providers(self._config):
            try:
                resolved = self._around.resolve(name)
                if not resolved.stores:
                    continue
                place = resolved.place
                await StoredKey(name, resolved.stores, url=place.url, setting=place.key_setting)()
            except errors.ProviderConfigurationError:
                continue
            except errors.ProviderError as error:
                said[name] = str(error)
            else:
                said[name] = ""
        return said

    async def probe(self, name: str) -> Probe:
        """Asks a provider for its models, as `doctor --online` does. Never raises ProviderError."""
        return (await self._asked(name))[0]

    async def usable(self, only: str | None = None) -> Usable:
        """The models of every ready provider (or of one), as their servers list them, with windows and prices; those
        that the settings describe and the scripted ones too. Takes little longer than `LIST_WITHIN_S`.
        """
        found: dict[str, UsableModel] = {}
        silent: list[Probe] = []
        asked = [
            status
            for status in self.configured()
            if status.ready and only in {None, status.name} and self._is_worth_asking(status, only)
        ]

        async def ask(status: ProviderStatus) -> None:
            probe, listed = await self._asked(status.name)
            if probe.error and status.chosen:
                silent.append(probe)
            for model in listed:
                found[model.id] = model

        async with anyio.create_task_group() as group:
            group.start_soon(self._around.prices.load)
            for status in asked:
                group.start_soon(ask, status)
        ready = frozenset(status.name for status in asked)
        for model_id in self._config.models:
            if model_id.partition("/")[0] in ready:
                found.setdefault(model_id, UsableModel(model_id, ModelProfile(), "settings"))
        told = sorted(silent, key=lambda probe: probe.name)
        return Usable(tuple(self._described(found[model_id]) for model_id in sorted(found)), tuple(told))

    def _is_worth_asking(self, status: ProviderStatus, only: str | None) -> bool:
        """Where Chat Completions is spoken by another than the vendor, Responses seldom is: then it must be named."""
        if status.name != "openai-responses" or only == status.name or status.name in self._config.endpoints:
            return True
        return status.address == VENDORS[status.name].default_url

    def _described(self, model: UsableModel) -> UsableModel:
        """The user's word and the tables', then the server's own on what these leave open."""
        prefix, _, name = model.id.partition("/")
        known = self._known(prefix, name)
        window = known.context_window or model.profile.context_window
        limit = known.max_output_tokens or model.profile.max_output_tokens
        profile = msgspec.structs.replace(known, context_window=window, max_output_tokens=limit)
        return UsableModel(model.id, profile, model.source)

    async def _asked(self, name: str) -> tuple[Probe, list[UsableModel]]:
        began = self._around.monotonic()
        listed: list[UsableModel] = []
        error = ""
        try:
            with anyio.fail_after(LIST_WITHIN_S):
                listed = await self._listed(name)
        except errors.ProviderError as failed:
            error = str(failed)
        except TimeoutError:
            error = f"it did not list its models within {LIST_WITHIN_S:g} s"
        return Probe(name, self._around.monotonic() - began, len(listed), error), listed

    async def _listed(self, name: str) -> list[UsableModel]:
        if name == "scripted":
            return [UsableModel(model_id, ModelProfile(), "script") for model_id in self._scripts()]
        resolved = self._around.resolve(name)
        listing = await load(partial(importlib.import_module, "providers.http.listing"))
        endpoint = make_endpoint(resolved, self._around)
        try:
            listed: list[ListedModel] = await listing.list_models(endpoint, resolved.api)
        finally:
            await endpoint.aclose()
        return [
            UsableModel(f"{name}/{each.name}", ModelProfile(each.context_window, each.max_output_tokens))
            for each in listed
            if each.answers
        ]

    def _scripts(self) -> list[str]:
        scripts = self._config.scripts
        return [] if scripts is None else [f"scripted/{name}" for name in script_names(scripts)]

    def _status(self, name: str) -> ProviderStatus:
        try:
            resolved: Resolved = self._around.resolve(name)
        except errors.ProviderConfigurationError as error:
            return ProviderStatus(name, False, self._address(name), problem=str(error))
        chosen = any(where not in DEFAULT_SOURCES for _, where in resolved.sources)
        return ProviderStatus(name, True, resolved.place.url, resolved.sources, chosen=chosen)

    def _address(self, name: str) -> str:
        """What was configured, however wrong."""
        vendor = VENDORS.get(name)
        endpoints = self._config.endpoints
        settings = endpoints.get(name)
        if settings is None and name == "openai-responses":
            settings = endpoints.get("openai")
        configured = settings.base_url if settings is not None else None
        if vendor is not None:
            configured = self._around.environment.get(vendor.url_variable) or configured
        return _without_credentials(configured or (vendor.default_url if vendor is not None else ""))

    def _scripted_status(self) -> ProviderStatus:
        scripts = self._config.scripts
        if scripts is None:
            return ProviderStatus("scripted", False, "", problem="no script is configured")
        try:
            names = script_names(scripts)
        except errors.ProviderConfigurationError as error:
            return ProviderStatus("scripted", False, str(scripts), problem=str(error))
        if not names:
            return ProviderStatus("scripted", False, str(scripts), problem=f"{scripts} holds no script")
        found = tuple(("script", f"scripted/{name}") for name in names)
        return ProviderStatus("scripted", True, str(scripts), found)


def _without_credentials(url: str) -> str:
    """A refused URL may hold a password before its @."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url
