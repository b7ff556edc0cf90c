"""A key that a command of the user's configuration prints, such as a company's sign-on or a cloud's token.

Only the user's own configuration may name one: whoever builds the settings leaves out what a workspace says. When it is
run is in `late_key.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from providers import errors
from providers.base import ProcessPort
from providers.http.addresses import check_key

TIME_LIMIT_S = 30.0
_MAX_OUTPUT = 64 * 1024


class KeyCommand:
    """Runs in `folder`, with the whole environment of its user. `url` is where the key is for, in messages."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        processes: ProcessPort,
        folder: Path,
        environment: Mapping[str, str],
        url: str,
    ) -> None:
        self._argv = tuple(argv)
        self._processes = processes
        self._folder = folder
        self._environment = environment
        self._url = url

    async def __call__(self) -> str:
        """Raises AuthenticationError when the command fails, ProviderConfigurationError when it cannot start or
        prints what is no key. What it printed is never shown.
        """
        shown = self._argv[0]
        try:
            process = await self._processes.start(self._argv, cwd=self._folder, env=self._environment)
        except Exception as error:
            raise errors.ProviderConfigurationError(
                f"the key command {shown!r} for {self._url} cannot start: {error}"
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
