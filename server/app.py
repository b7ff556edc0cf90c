"""The composition root: the only place that names concrete adapters and hands them to the engine.

Everything here is made for one workspace and one process, and ended by leaving the context that made it.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from orchestration.documents import EditorDocuments, NoDocuments
from orchestration.edge import RandomIds, SystemClock, SystemRandomness, ThreadExecutor
from orchestration.engine import Engine, EngineFront
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ConfigurationError
from orchestration.journal.contract import Journal
from orchestration.journal.data_dir import WorkspaceHome, workspace_home
from orchestration.journal.sqlite import open_journal
from orchestration.quality.baseline import Baseline
from orchestration.quality.settings import QualitySettings
from orchestration.quality.standard import final_gates, task_gates
from orchestration.redaction import Redaction
from orchestration.workspace.checkouts import CheckoutPool
from orchestration.workspace.entries import WorkspaceEntries
from orchestration.workspace.files import WorkspaceFiles
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.launcher import Command, Completed, NoSandbox
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.process_ledger import end_leftovers
from orchestration.workspace.shadow import ShadowRepository
from orchestration.workspace.snapshotter import LocalSnapshotter
from orchestration.workspace.trust import TrustStore
from orchestration.workspace.untouched import WorkspaceWatch
from providers.base import ModelProfile, ProcessPort
from providers.key_stores import KeyStore
from providers.local_servers import LocalServer, probe_local
from providers.registry import Registry, build_providers
from providers.shared_limits import SharedLimits
from providers.survey import with_agents
from server.composition import ModelEntry, TrustWord
from server.current_providers import CurrentProviders
from server.external_agents import agents_found, external_agents
from server.handshake import VERSION
from server.logs import hide, secret_values
from server.provider_settings import providers_config
from server.settings import EditorSettings, Settings, load
from server.settings_files import user_file

SHADOW = "snapshots.git"
PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Stores:
    """What a workspace keeps, without an engine. `collect` frees what `keep` does not name."""

    home: Path
    journal: Journal
    shadow: ShadowRepository
    git: Git
    launcher: LocalLauncher

    async def collect(self, keep: Iterable[str], *, older_than_s: float) -> None:
        await self.shadow.collect(self.git, keep, older_than_s=older_than_s)


@dataclass(frozen=True, slots=True)
class EditorSide:
    """What an editor gives while an engine runs: its settings as they are now, and where it keeps keys. `limits` are
    those of the process, for all its engines.
    """

    settings: Callable[[], Settings]
    keys: KeyStore | None
    limits: SharedLimits = field(default_factory=SharedLimits)


@asynccontextmanager
async def open_engine(
    root: Path,
    *,
    settings: Settings,
    trusted: bool | Callable[[], bool],
    environ: Mapping[str, str],
    documents: EditorDocuments | None = None,
    interactive: bool = False,
    editor: EditorSide | None = None,
) -> AsyncIterator[EngineFront]:
    """The engine of one workspace. `trusted` may be asked anew at any time; `interactive`: somebody can
    answer approvals; `editor`: what an editor gives while the engine runs. Raises ConfigurationError, WorkspaceError and JournalError, each with its mend.
    """
    async with (
        open_ports(
            root,
            settings=settings,
            trusted=trusted,
            environ=environ,
            documents=documents,
            interactive=interactive,
            editor=editor,
        ) as ports,
        Engine(ports) as engine,
    ):
        yield engine


@asynccontextmanager
async def open_ports(
    root: Path,
    *,
    settings: Settings,
    trusted: bool | Callable[[], bool],
    environ: Mapping[str, str],
    documents: EditorDocuments | None = None,
    interactive: bool = False,
    editor: EditorSide | None = None,
) -> AsyncIterator[EnginePorts]:
    """Everything an engine is given, without the engine. Parameters and errors as in `open_engine`."""
    asked: Callable[[], bool] = trusted if callable(trusted) else partial(bool, trusted)
    async with open_stores(root, settings=settings, environ=environ) as stores, AsyncExitStack() as stack:
        clock, ids, executor = SystemClock(), RandomIds(), ThreadExecutor()
        # What a killed predecessor left running, and nothing else.
        await executor.run(end_leftovers, stores.home / PROCESSES)
        side = editor or EditorSide(lambda: settings, None)
        redaction = Redaction(secret_values(environ))

        def key_found(key: str) -> None:
            redaction.add(key)
            hide(key)

        def build(now: Settings) -> Registry:
            for secret in now.providers.secrets():
                key_found(secret)
            return build_registry(
                now, environ, stores.launcher, editor_keys=side.keys, key_found=key_found, limits=side.limits
            )

        providers = CurrentProviders(settings, build, side.settings)
        agents = external_agents(settings, environ, processes=stores.launcher, forbidden=(root,))
        stack.push_async_callback(agents.aclose)
        stack.push_async_callback(providers.aclose)
        objects = GitObjects(stores.shadow, stores.git)
        guard = PathGuard(root)
        quality = QualitySettings(**asdict(settings.quality))
        checkouts = CheckoutPool(
            stores.home,
            objects,
            stores.git,
            stores.launcher,
            root,
            executor=executor,
            environment=environ,
        )
        stack.push_async_callback(checkouts.aclose)
        yield EnginePorts(
            root=root,
            clock=clock,
            ids=ids,
            randomness=SystemRandomness(),
            executor=executor,
            journal=stores.journal,
            objects=objects,
            snapshotter=LocalSnapshotter(
                objects, stores.home, stores.git, clock=clock, executor=executor, environment=environ
            ),
            files=WorkspaceFiles(root, guard),
            entries=WorkspaceEntries(guard),
            guard=guard,
            checkouts=checkouts,
            launcher=stores.launcher,
            models=providers,
            agents=agents,
            watch=WorkspaceWatch(root, stores.home, objects),
            documents=NoDocuments() if documents is None else documents,
            gates=task_gates(),
            final_gates=final_gates(quality),
            quality=quality,
            baseline=Baseline(),
            trusted=asked,
            interactive=interactive,
            environ=environ,
            server_id="" if documents is None else ids.new("server"),
            pid=os.getpid(),
            version=VERSION,
            redaction=redaction,
        )


@asynccontextmanager
async def open_stores(root: Path, *, settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Stores]:
    """Journal and snapshots of a workspace. Raises ConfigurationError, WorkspaceError, JournalError."""
    home = _home(root, settings, environ)
    async with AsyncExitStack() as stack:
        launcher = LocalLauncher(
            home.path / PROCESSES, RandomIds().new("process"), clock=SystemClock(), forbidden=(root,)
        )
        stack.push_async_callback(launcher.aclose)
        git = await Git.find(launcher, path=environ.get("PATH"), forbidden=(root,))
        journal = await open_journal(home.path, SystemClock())
        stack.push_async_callback(journal.aclose)
        yield Stores(home.path, journal, ShadowRepository.open(home.path / SHADOW), git, launcher)


async def git_version(root: Path | None, *, settings: Settings, environ: Mapping[str, str]) -> str:
    """Where git is and which. Raises ConfigurationError when it is missing or too old."""
    forbidden = (root,) if root is not None else ()
    folder = settings.data_folder(environ) / PROCESSES
    launcher = LocalLauncher(folder, RandomIds().new("process"), clock=SystemClock(), forbidden=forbidden)
    try:
        git = await Git.find(launcher, path=environ.get("PATH"), forbidden=forbidden)
        said = (await git.run(["version"])).output.decode(errors="replace").strip()
    finally:
        await launcher.aclose()
    return f"{said.removeprefix('git version ')} at {git.program}"


async def run_program(
    argv: Sequence[str], root: Path, *, settings: Settings, environ: Mapping[str, str]
) -> Completed:
    """Runs a program of the user's in a workspace that they trust, without an engine. Raises ProcessError."""
    launcher = LocalLauncher(
        _home(root, settings, environ).path / PROCESSES, RandomIds().new("process"), clock=SystemClock()
    )
    try:
        return await launcher.run(Command(tuple(argv), root, purpose="tests"))
    finally:
        await launcher.aclose()


def is_trusted(root: Path, *, settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether the user's stored decision covers this workspace as it is now."""
    return trust_store(settings, environ).is_trusted(root)


def set_trust(root: Path, *, settings: Settings, environ: Mapping[str, str], trusted: bool) -> None:
    """Keeps the user's decision. Raises ConfigurationError when it cannot be kept."""
    store = trust_store(settings, environ)
    if trusted:
        store.grant(root, now=SystemClock().now())
    else:
        store.revoke(root)


def trust_store(settings: Settings, environ: Mapping[str, str]) -> TrustStore:
    return TrustStore(settings.data_folder(environ))


def check_model(
    model: str, *, settings: Settings, environ: Mapping[str, str], max_cost: float | None
) -> None:
    """Raises ConfigurationError or ProviderConfigurationError when a run could not use the model as asked."""
    agent = external_agents(settings, environ).resolve(model)
    if agent is not None:
        if max_cost is not None and not agent[0].reports_cost:
            raise ConfigurationError(
                f"{agent[0].name} does not say what it costs, so --max-cost (budget.usd) cannot be kept; use --max-tokens"
            )
        return
    registry = build_registry(settings, environ, _launcher(settings, environ))
    registry.resolve(model)
    if max_cost is None:
        return
    registry.load_tables()
    if registry.profile(model).prices is None:
        raise ConfigurationError(
            f"the price of {model} is not known, so --max-cost (budget.usd) cannot be kept; use --max-tokens, or "
            f'give its prices in {user_file()}: [models."{model}"] with `input` and `output`'
        )


@asynccontextmanager
async def open_providers(
    settings: Settings, environ: Mapping[str, str], *, editor_keys: KeyStore | None = None
) -> AsyncIterator[Registry]:
    """The providers without an engine, with what runs key commands and asks the system's keyring."""
    async with AsyncExitStack() as stack:
        launcher = _launcher(settings, environ)
        stack.push_async_callback(launcher.aclose)
        registry = build_registry(settings, environ, launcher, editor_keys=editor_keys)
        stack.push_async_callback(registry.aclose)
        yield registry


async def local_servers() -> Sequence[LocalServer]:
    """Model servers that answer on loopback, each asked for at most a moment."""
    return await probe_local()


def build_registry(
    settings: Settings,
    environ: Mapping[str, str],
    processes: ProcessPort,
    *,
    editor_keys: KeyStore | None = None,
    key_found: Callable[[str], None] = hide,
    limits: SharedLimits | None = None,
) -> Registry:
    """Opens nothing and starts nothing. What starts for a key does so in the user's data folder."""
    clock = SystemClock()
    return build_providers(
        providers_config(settings),
        environment=environ,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        rand=SystemRandomness().random,
        processes=processes,
        folder=settings.data_folder(environ),
        editor_keys=editor_keys,
        key_found=key_found,
        limits=limits,
    )


def _launcher(settings: Settings, environ: Mapping[str, str]) -> LocalLauncher:
    folder = settings.data_folder(environ) / PROCESSES
    return LocalLauncher(folder, RandomIds().new("process"), clock=SystemClock())


class Served:
    """What the language server is given (`composition.Composition`)."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._limits = SharedLimits()

    def settings(self, root: Path | None, editor: EditorSettings, trusted: TrustWord) -> Settings:
        settings = load(environ=self._environ, workspace=root, editor=editor)
        if root is None or not self._trusted(root, trusted, settings):
            return settings
        approved = is_trusted(root, settings=settings, environ=self._environ)
        return load(environ=self._environ, workspace=root, editor=editor, trusted=True, approved=approved)

    def open_engine(
        self,
        root: Path,
        documents: EditorDocuments,
        trusted: TrustWord,
        settings: Callable[[], Settings],
        secrets: KeyStore | None,
    ) -> AbstractAsyncContextManager[EngineFront]:
        first = settings()
        return open_engine(
            root,
            settings=first,
            trusted=lambda: self._trusted(root, trusted, first),
            environ=self._environ,
            documents=documents,
            interactive=True,
            editor=EditorSide(settings, secrets, self._limits),
        )

    def set_trusted(self, root: Path, *, trusted: bool) -> None:
        set_trust(root, settings=load(environ=self._environ), environ=self._environ, trusted=trusted)

    async def models(self, settings: Settings, secrets: KeyStore | None) -> Sequence[ModelEntry]:
        async with open_providers(settings, self._environ, editor_keys=secrets) as registry:
            agents = await agents_found(None, settings=settings, environ=self._environ, ask=False)
            usable = with_agents(
                await registry.survey.usable(), (agent.name for agent in agents if agent.program)
            )
            entries = {model.id: _entry(model.id, model.profile, model.source) for model in usable.models}
            if settings.model is not None:
                source = settings.sources.get("model", "settings")
                chosen = _entry(settings.model, registry.profile(settings.model), source)
                entries = {settings.model: chosen, **entries, settings.model: chosen}
        return list(entries.values())

    def sandbox_tier(self) -> str:
        return NoSandbox.tier

    def _trusted(self, root: Path, word: TrustWord, settings: Settings) -> bool:
        """The editor's own word wins; without one the user's stored decision counts."""
        said = word()
        return is_trusted(root, settings=settings, environ=self._environ) if said is None else said


def _entry(model: str, profile: ModelProfile, source: str) -> ModelEntry:
    prices = profile.prices
    return ModelEntry(
        id=model,
        window=profile.context_window,
        input_usd=prices.input if prices else None,
        output_usd=prices.output if prices else None,
        source=source,
    )


def _home(root: Path, settings: Settings, environ: Mapping[str, str]) -> WorkspaceHome:
    return workspace_home(Path(os.path.realpath(root)), settings.data_folder(environ))
