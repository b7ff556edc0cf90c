"""What the composition root gives the server: settings, and an engine for each workspace.

`main_stdio` is given a function that makes a `Composition`; it is called after `initialize` is answered,
in a worker thread, so it may import what it likes.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestration.documents import EditorDocuments
from server.settings import EditorSettings, Settings

if TYPE_CHECKING:
    from orchestration.engine import EngineFront  # the engine itself is imported after `initialize`
    from server.secrets import EditorSecrets

# The editor's own word on trust: None when it said nothing, then the user's stored decision counts.
TrustWord = Callable[[], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """`id` is `PROVIDER/NAME`; `window` in tokens; prices in USD per million tokens; None: unknown."""

    id: str
    window: int | None = None
    input_usd: float | None = None
    output_usd: float | None = None
    source: str = ""


class Composition(Protocol):
    def settings(self, root: Path | None, editor: EditorSettings, trusted: TrustWord) -> Settings:
        """All layers for a workspace. Raises ConfigurationError."""

    def open_engine(
        self,
        root: Path,
        documents: EditorDocuments,
        trusted: TrustWord,
        settings: Callable[[], Settings],
        secrets: "EditorSecrets | None",
    ) -> AbstractAsyncContextManager["EngineFront"]:
        """Leaving it ends every process and task of that engine; open runs can be resumed later. `settings` are read
        now, and those of providers again when a task begins. `secrets`: where the client keeps keys.
        """

    def set_trusted(self, root: Path, *, trusted: bool) -> None:
        """Keeps the user's decision beyond this session."""

    async def models(self, settings: Settings, secrets: "EditorSecrets | None") -> Sequence[ModelEntry]:
        """What runs can be started with, the set model first. Servers are asked for their lists, a few seconds each."""

    def sandbox_tier(self) -> str:
        """`none`, `landlock` or `bubblewrap`: how commands are confined on this machine."""


Compose = Callable[[], Composition]
