"""What `antiphon doctor` looks at, one check each; a check that fails never hides the others."""

import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestration.errors import AntiphonError
from server.settings import Settings, load
from server.settings_files import user_file

_SMALL_DISK = 1 << 30
_FULL_DISK = 100 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """`mend` says what to do about a remark or a problem."""

    name: str
    state: Literal["ok", "remark", "problem"]
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class _Patient:
    root: Path | None
    settings: Settings
    environ: Mapping[str, str]
    online: bool


async def examine(workspace: str | None, environ: Mapping[str, str], *, online: bool = False) -> list[Check]:
    """All checks in the order in which they are shown. `online`: providers are asked whether they answer."""
    checks = [_python()]
    root: Path | None = None
    from server.commands.workspace import resolved

    try:
        root = resolved(workspace)
    except AntiphonError as error:
        checks.append(Check("workspace", "problem", str(error)))
    settings, found = _settings(root, environ)
    patient = _Patient(root, settings, environ, online)
    checks.append(found)
    for name, look in _LOOKS:
        try:
            checks += await look(patient)
        except AntiphonError as error:
            checks.append(Check(name, "problem", str(error)))
        except Exception as error:  # noqa: BLE001 - a broken check is itself a finding
            checks.append(Check(name, "problem", f"could not be checked: {type(error).__name__}: {error}"))
    return checks


def _python() -> Check:
    version = platform.python_version()
    state: Literal["ok", "problem"] = "ok" if sys.version_info >= (3, 11) else "problem"
    return Check("python", state, f"{version} at {sys.executable}")


def _settings(root: Path | None, environ: Mapping[str, str]) -> tuple[Settings, Check]:
    file = user_file()
    try:
        settings = load(environ=environ, workspace=root)
    except AntiphonError as error:
        return Settings(), Check("settings", "problem", str(error), "the defaults are assumed below")
    where = str(file) if file.exists() else f"none at {file}"
    if settings.warnings:
        return settings, Check("settings", "remark", where, "; ".join(settings.warnings))
    return settings, Check("settings", "ok", where)


async def _git(patient: _Patient) -> list[Check]:
    from server.app import git_version

    return [
        Check(
            "git", "ok", await git_version(patient.root, settings=patient.settings, environ=patient.environ)
        )
    ]


async def _data(patient: _Patient) -> list[Check]:
    from orchestration.journal.file_system import network_file_system

    folder = patient.settings.data_folder(patient.environ)
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    checks: list[Check] = []
    if not os.access(existing, os.W_OK | os.X_OK):
        checks.append(
            Check(
                "data", "problem", f"{folder} cannot be written", "make it writable, or set ANTIPHON_DATA_DIR"
            )
        )
    else:
        checks.append(Check("data", "ok", str(folder)))
    network = network_file_system(folder)
    if network is None:
        checks.append(Check("journal", "ok", "on a local file system"))
    else:
        checks.append(
            Check(
                "journal",
                "problem",
                f"{folder} is on {network}, a network file system, where SQLite loses data",
                "set ANTIPHON_DATA_DIR or `data_dir` to a folder on a local disk",
            )
        )
    free = shutil.disk_usage(existing).free
    state: Literal["ok", "remark", "problem"] = (
        "problem" if free < _FULL_DISK else "remark" if free < _SMALL_DISK else "ok"
    )
    mend = "" if state == "ok" else "free some space: `antiphon gc` removes old runs"
    checks.append(Check("disk", state, f"{free / 1e9:.1f} GB free", mend))
    return checks


async def _sandbox(patient: _Patient) -> list[Check]:
    del patient
    return [
        Check(
            "sandbox",
            "remark",
            "none",
            "commands of a trusted workspace run with your rights; approval decides which",
        )
    ]


async def _trust(patient: _Patient) -> list[Check]:
    if patient.root is None:
        return []
    from server.app import is_trusted

    if is_trusted(patient.root, settings=patient.settings, environ=patient.environ):
        return [Check("trust", "ok", f"{patient.root} is trusted")]
    return [
        Check(
            "trust", "remark", f"{patient.root} is not trusted", "`antiphon trust`, so that its tests may run"
        )
    ]


async def _models(patient: _Patient) -> list[Check]:
    from server.app import local_servers
    from server.provider_checks import provider_checks

    settings = patient.settings
    checks: list[Check] = []
    if settings.model is None:
        checks.append(
            Check(
                "model", "remark", "none", "--model PROVIDER/NAME, ANTIPHON_MODEL, or `model` in the settings"
            )
        )
    else:
        checks.append(_model(settings.model, patient))
    checks += await provider_checks(settings, patient.environ, online=patient.online)
    for server in await local_servers():
        names = ", ".join(server.models[:3]) or "no models"
        checks.append(Check("local server", "ok", f"{server.kind} at {server.base_url}: {names}"))
    return checks


def _model(model: str, patient: _Patient) -> Check:
    """A model that cannot be used must not hide what was found of the providers."""
    from providers.errors import ProviderError
    from server.app import check_model

    source = patient.settings.sources.get("model", "the defaults")
    try:
        check_model(model, settings=patient.settings, environ=patient.environ, max_cost=None)
    except (AntiphonError, ProviderError) as error:
        return Check("model", "problem", f"{model} (from {source})", str(error))
    return Check("model", "ok", f"{model} (from {source})")


async def _agents(patient: _Patient) -> list[Check]:
    """External agents. A version is a process, so it is asked for where the workspace is trusted or on request."""
    from server.app import is_trusted
    from server.external_agents import agents_found

    settings, environ, root = patient.settings, patient.environ, patient.root
    trusted = root is not None and is_trusted(root, settings=settings, environ=environ)
    ask = patient.online or trusted
    checks, missing = [], []
    for agent in await agents_found(root, settings=settings, environ=environ, ask=ask):
        if not agent.program:
            missing.append(agent.name)
            continue
        version = agent.version or ("unknown version" if ask else "version not asked for")
        mend = agent.problem or (
            "" if ask else "trust the workspace, or --online, to start it for its version"
        )
        state: Literal["ok", "remark"] = "remark" if agent.problem else "ok"
        checks.append(
            Check(f"agent {agent.name}", state, f"{agent.title} {version} at {agent.program}", mend)
        )
    if missing:
        checks.append(Check("agents", "ok", f"not installed: {', '.join(missing)}"))
    return checks


_LOOKS: tuple[tuple[str, Callable[[_Patient], Awaitable[list[Check]]]], ...] = (
    ("git", _git),
    ("data", _data),
    ("sandbox", _sandbox),
    ("trust", _trust),
    ("model", _models),
    ("agents", _agents),
)
