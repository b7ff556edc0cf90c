"""Keys that another program keeps for the user: the keyring of the system, the secret store of an editor.

A store is asked for a provider's id when the first call needs its key. The system's keyring is asked in a process of
its own with a time limit, since a locked one with a display waits for its user; and only where the configuration says
so. The editor's store belongs to the server (`server/secrets.py`).
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import anyio
import msgspec

from providers import errors
from providers.base import ProcessPort
from providers.http.addresses import check_key

SERVICE = "antiphon"
TIME_LIMIT_S = 2.0
_MAX_OUTPUT = 64 * 1024
# What finds the session's keyring, beside the variables that every child gets.
_VARIABLES = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "GNOME_KEYRING_CONTROL",
    "HOME",
    "KDE_FULL_SESSION",
    "KDE_SESSION_VERSION",
    "PYTHON_KEYRING_BACKEND",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CONFIG_HOME",
    "XDG_CURRENT_DESKTOP",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)


class KeyStore(Protocol):
    """Somewhere a key may be kept."""

    @property
    def title(self) -> str:
        """For messages, e.g. `the OS keyring`."""

    @property
    def revision(self) -> int:
        """Grows when a key that was given out may not be the right one any more."""

    @property
    def mend(self) -> str:
        """How a user puts a key there, with `{provider}` for its id."""

    async def find(self, provider: str) -> str | None:
        """None: it holds no key of that provider. Raises ProviderError, without the key, when it cannot be asked."""


class SystemKeyring:
    """The keyring of the system (Secret Service, KWallet, Keychain), by the package keyring."""

    title = "the OS keyring"
    revision = 0
    mend = f"keep one there under the service `{SERVICE}` and the user name `{{provider}}`"

    def __init__(
        self,
        processes: ProcessPort,
        *,
        folder: Path,
        environment: Mapping[str, str],
        python: str = sys.executable,
    ) -> None:
        self._processes = processes
        self._folder = folder
        self._environment = {name: environment[name] for name in _VARIABLES if name in environment}
        self._argv = (python, "-I", "-m", "providers.keyring_child", SERVICE)

    async def find(self, provider: str) -> str | None:
        """Raises AuthenticationError when the keyring is locked, absent or does not answer within `TIME_LIMIT_S`."""
        try:
            process = await self._processes.start(
                (*self._argv, provider), cwd=self._folder, env=self._environment
            )
        except Exception as error:
            raise errors.AuthenticationError(f"{self.title} cannot be asked: {error}") from error
        output = b""
        ended = False
        try:
            with anyio.move_on_after(TIME_LIMIT_S):
                async for piece in process.stdout():
                    output += piece
                    if len(output) > _MAX_OUTPUT:
                        break
                ended = True
        finally:
            with anyio.CancelScope(shield=True):
                await process.kill()
        if not ended:
            raise errors.AuthenticationError(
                f"{self.title} did not answer within {TIME_LIMIT_S:g} s: unlock it, then try again"
            )
        try:
            said = msgspec.json.decode(output, type=dict[str, str | None])
        except msgspec.DecodeError as error:
            raise errors.AuthenticationError(
                f"{self.title} cannot be asked: its process ended early"
            ) from error
        if said.get("error"):
            raise errors.AuthenticationError(f"{self.title} cannot be asked: {said['error']}")
        return said.get("key") or None


def checked_key(key: str, place: str) -> str:
    """Raises ProviderConfigurationError, without showing it, for a key that no header can carry."""
    return check_key(key.strip(), setting=place)


class StoredKey:
    """Asks the stores of one provider in turn; the first key counts."""

    def __init__(self, provider: str, stores: Sequence[KeyStore], *, url: str, setting: str) -> None:
        self._provider = provider
        self._stores = tuple(stores)
        self._url = url
        self._setting = setting
        self._seen = self._revisions()

    @property
    def is_stale(self) -> bool:
        """Whether a store has changed since it was asked."""
        return self._seen != self._revisions()

    def _revisions(self) -> tuple[int, ...]:
        return tuple(store.revision for store in self._stores)

    async def __call__(self) -> str:
        """Raises AuthenticationError, with what each store said, when none has a key."""
        self._seen = self._revisions()
        said: list[str] = []
        for store in self._stores:
            try:
                key = await store.find(self._provider)
            except errors.ProviderError as error:
                said.append(str(error))
                continue
            if key:
                return checked_key(key, store.title)
            said.append(f"{store.title} holds none: {store.mend.format(provider=self._provider)}")
        raise errors.AuthenticationError(f"no key for {self._url}: {'; '.join(said)}; or set {self._setting}")
