"""A key that a command of the user's configuration prints, such as a company's sign-on or a cloud's token.

The command runs when the first call needs it, and once more after a 401. Only the user's own configuration may
name one: whoever builds the settings leaves out what a workspace says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from providers import errors
from providers.base import ProcessPort
from providers.http.addresses import check_key
from providers.http.failures import Place

TIME_LIMIT_S = 30.0
_MAX_OUTPUT = 64 * 1024

Headers = Sequence[tuple[bytes, bytes]]


class KeyCommand:
    """An `endpoint.Credential`. `scheme` stands before the key in the header, e.g. `Bearer `."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        processes: ProcessPort,
        folder: Path,
        environment: Mapping[str, str],
        place: Place,
        header: str = "authorization",
        scheme: str = "Bearer ",
    ) -> None:
        self._argv = tuple(argv)
        self._processes = processes
        self._folder = folder
        self._environment = environment
        self._place = place
        self._header = header.encode("ascii")
        self._scheme = scheme
        self._headers: Headers | None = None
        self._running = anyio.Lock()

    async def headers(self) -> Headers:
        """Raises AuthenticationError when the command fails, ProviderConfigurationError when it cannot start or
        prints what is no key. What it printed is never shown.
        """
        if self._headers is None:
            async with self._running:
                if self._headers is None:
                    self._headers = self._as_headers(await self._run())
        return self._headers

    async def renew(self, used: Headers) -> bool:
        """The calls that were refused together run the command once. False when it gives the same key again."""
        async with self._running:
            if self._headers == used:
                self._headers = self._as_headers(await self._run())
            return self._headers != used

    def _as_headers(self, key: str) -> Headers:
        self._place.secrets.append(key)
        return ((self._header, f"{self._scheme}{key}".encode("ascii")),)

    async def _run(self) -> str:
        shown = self._argv[0] if self._argv else ""
        try:
            process = await self._processes.start(self._argv, cwd=self._folder, env=self._environment)
        except Exception as error:
            raise errors.ProviderConfigurationError(
                f"the key command {shown!r} for {self._place.url} cannot start: {error}"
            ) from error
        output = b""
        code: int | None = None
        try:
            with anyio.move_on_after(TIME_LIMIT_S):
                async for piece in process.stdout():
                    output += piece
                    if len(output) > _MAX_OUTPUT:
                        break
                else:
                    code = await process.wait()
        finally:
            with anyio.CancelScope(shield=True):  # ends what still runs, and closes the pipes
                await process.kill()
        if code is None:
            raise errors.AuthenticationError(
                f"the key command {shown!r} did not end within {TIME_LIMIT_S:g} s, or printed too much"
            )
        if code != 0:
            raise errors.AuthenticationError(
                f"the key command {shown!r} ended with {code}: run it by hand to see why"
            )
        key = output.decode("utf-8", "replace").strip()
        if not key:
            raise errors.AuthenticationError(f"the key command {shown!r} printed nothing")
        return check_key(key, setting=f"the output of {shown!r}")
