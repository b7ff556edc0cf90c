"""Everything the engine of one workspace is given by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestration.documents import EditorDocuments
from orchestration.journal.contract import Journal
from orchestration.ports import Clock, Executor, Ids, Randomness
from orchestration.quality.baseline import Baseline
from orchestration.quality.gates import Gate
from orchestration.quality.settings import QualitySettings
from orchestration.redaction import Redaction
from orchestration.workspace.checkouts import CheckoutPool
from orchestration.workspace.entries import UserEntries
from orchestration.workspace.files import UserFiles
from orchestration.workspace.launcher import ProcessLauncher
from orchestration.workspace.objects import ObjectStore
from orchestration.workspace.path_guard import PathGuard
from orchestration.workspace.snapshotter import Snapshotter
from orchestration.workspace.untouched import WorkspaceWatch
from providers.base import AgentProvider, ModelProvider


class ModelSource(Protocol):
    def resolve(self, model: str) -> tuple[ModelProvider, str]:
        """The provider of `PROVIDER/NAME` and the name within it. Raises ProviderConfigurationError."""


class AgentSource(Protocol):
    def resolve(self, model: str) -> tuple[AgentProvider, str | None] | None:
        """The agent of a model id `AGENT[/MODEL]` and the model it is to use; None when the id names no agent.
        Starts nothing. Raises ProviderConfigurationError for an agent that cannot be used, with the mend.
        """


class NoAgents:
    """No id names an agent."""

    def resolve(self, model: str) -> tuple[AgentProvider, str | None] | None:
        del model
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePorts:
    """`trusted()` is asked anew each time: trust may be given or taken while runs are under way.
    `interactive`: somebody can answer approvals. `environ` is where programs are looked for. `version` is
    the program's, `pid` this process. `redaction` knows the secrets that no text may hold.
    """

    root: Path
    clock: Clock
    ids: Ids
    randomness: Randomness
    executor: Executor
    journal: Journal
    objects: ObjectStore
    snapshotter: Snapshotter
    files: UserFiles
    entries: UserEntries
    guard: PathGuard
    checkouts: CheckoutPool
    launcher: ProcessLauncher
    models: ModelSource
    documents: EditorDocuments
    gates: tuple[Gate, ...]
    final_gates: tuple[Gate, ...]
    quality: QualitySettings
    baseline: Baseline
    trusted: Callable[[], bool]
    interactive: bool
    environ: Mapping[str, str]
    server_id: str
    pid: int
    version: str
    watch: WorkspaceWatch
    agents: AgentSource = field(default_factory=NoAgents)
    redaction: Redaction = field(default_factory=Redaction)
