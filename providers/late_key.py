"""A key that is fetched when the first call needs it, and once more after a 401: from a command, a keyring, an editor.

Whoever waits for the same key waits for one fetch. Where it comes from is in `key_command.py` and `key_stores.py`; what
was fetched is never shown.
"""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from providers.http.failures import Place

Headers = Sequence[tuple[bytes, bytes]]


class LateKey:
    """An `endpoint.Credential`. `scheme` stands before the key in the header, e.g. `Bearer `. `noted` is told of
    every key before it is used, so that logs can leave it out.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str]],
        *,
        place: Place,
        header: str = "authorization",
        scheme: str = "Bearer ",
        noted: Callable[[str], None] | None = None,
        is_stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fetch = fetch
        self._place = place
        self._header = header.encode("ascii")
        self._scheme = scheme
        self._noted = noted
        self._is_stale = is_stale
        self._headers: Headers | None = None
        self._fetching = anyio.Lock()

    async def headers(self) -> Headers:
        """Raises what `fetch` raises; then nothing is kept, and the next call fetches anew."""
        if self._headers is None or self._is_stale():
            async with self._fetching:
                if self._headers is None or self._is_stale():
                    self._headers = None
                    self._headers = await self._fetched()
        return self._headers

    async def renew(self, used: Headers) -> bool:
        """The calls that were refused together fetch once. False when the same key comes again."""
        async with self._fetching:
            if self._headers == used:
                self._headers = None
            if self._headers is None:
                self._headers = await self._fetched()
            return self._headers != used

    async def _fetched(self) -> Headers:
        key = await self._fetch()
        self._place.secrets.append(key)
        if self._noted is not None:
            self._noted(key)
        return ((self._header, f"{self._scheme}{key}".encode("ascii")),)
