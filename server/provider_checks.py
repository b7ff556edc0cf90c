"""What `antiphon doctor` says of model providers: what was found and where, what is missing, and, asked to, what answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import anyio

from server.examination import Check
from server.settings import Settings

if TYPE_CHECKING:
    from providers.survey import Probe, ProviderStatus, Survey


async def provider_checks(settings: Settings, environ: Mapping[str, str], *, online: bool) -> list[Check]:
    """One check for each provider. Stores of keys are asked where the settings say so; servers only when `online`."""
    from server.app import open_providers

    async with open_providers(settings, environ) as registry:
        survey = registry.survey
        statuses = survey.configured()
        keys = await survey.stored_keys()
        probes = await _probed(survey, statuses, keys) if online else {}
    return [_check(status, settings, keys.get(status.name), probes.get(status.name)) for status in statuses]


async def _probed(
    survey: "Survey", statuses: "list[ProviderStatus]", keys: Mapping[str, str]
) -> "dict[str, Probe]":
    probes: dict[str, Probe] = {}

    async def probe(name: str) -> None:
        probes[name] = await survey.probe(name)

    async with anyio.create_task_group() as group:
        for status in statuses:
            if status.ready and not keys.get(status.name):
                group.start_soon(probe, status.name)
    return probes


def _check(status: "ProviderStatus", settings: Settings, key: str | None, probe: "Probe | None") -> Check:
    """`key`: what a store said of it; None: none was asked."""
    sources = ", ".join(f"{what} from {_place(where, settings)}" for what, where in status.sources)
    parts = [status.address, sources]
    state: Literal["ok", "remark", "problem"] = "ok" if status.ready else "remark"
    mend = status.problem
    if key is not None:
        parts.append("no key was found there" if key else "it holds the key")
        if key:
            state, mend = "remark", key
    if probe is not None and not probe.error:
        models = f"{probe.models} model{'' if probe.models == 1 else 's'}"
        parts.append(f"answered in {probe.seconds:.1f} s, {models}")
    elif probe is not None:
        state, mend = "problem" if status.chosen else "remark", probe.error
        parts.append("did not answer")
    found = " · ".join(part for part in parts if part) or "not configured"
    return Check(f"provider {status.name}", state, found, mend)


def _place(where: str, settings: Settings) -> str:
    """A key of the settings with the layer that set it."""
    source = settings.sources.get(where)
    return where if source is None else f"{where} ({source})"
