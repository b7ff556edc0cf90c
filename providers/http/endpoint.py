"""One base URL: its connections, its headers, the time limits of a call, and connection faults as our errors.

Knows HTTP and nothing of any API; the adapters beside this file know the APIs. It stands on httpcore2, the
transport of httpx2: of the client above it (redirects, cookies, decoding, authentication flows) nothing is
wanted here, and each call would pay for it. The pool and the TLS context are built at the first call, in a
worker thread (25 ms, and 20 more for https).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote, unquote, urlencode, urlsplit

import anyio

from providers import errors
from providers.http.addresses import MODEL, check_base_url
from providers.http.delays import Headers, header
from providers.http.failures import Place
from providers.loading import load

if TYPE_CHECKING:
    import ssl

    # httpcore2 costs 100 ms to import: `_build` does it at the first call
    import httpcore2

    from providers.config import TimeLimits, TlsFiles

Observe = Callable[[int, Headers], None]

KEEP_ALIVE_S = 30.0
MAX_ERROR_BODY = 64 * 1024


class CallTimer:
    """The time limits of one call as one cancel scope; `content()` moves the limit, `expired` says which passed."""

    def __init__(self, limits: "TimeLimits") -> None:
        self._limits = limits
        self._now = asyncio.get_running_loop().time  # a tenth of the cost of anyio.current_time, per piece
        now = self._now()
        self._end = now + limits.whole_call
        self._move_at = 0.0
        self._grace = float("inf")
        self.expired: str | None = None
        self._waiting_for = f"no first token within {limits.first_token:g} s"
        self._scope = anyio.CancelScope(deadline=min(self._end, now + limits.first_token))

    def content(self) -> None:
        """A piece of content arrived. Moving a deadline costs a timer, so it moves ten times per limit at most."""
        now = self._now()
        if now >= self._move_at:
            limit = self._limits.between_tokens
            self._move_at = now + 0.1 * limit
            self._waiting_for = f"nothing more within {limit:g} s"
            self._scope.deadline = min(self._end, now + 1.1 * limit)

    def ending(self, grace: float) -> None:
        """The answer is whole; what may still come is waited for `grace` seconds. A later call can only shorten."""
        self._move_at = float("inf")
        if grace < self._grace:
            self._grace = grace
            self._scope.deadline = min(self._end, self._now() + grace)

    def __enter__(self) -> Self:
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        handled = bool(self._scope.__exit__(kind, error, trace))
        if self._scope.cancelled_caught:
            whole = self._scope.deadline >= self._end
            self.expired = (
                f"not finished within {self._limits.whole_call:g} s" if whole else self._waiting_for
            )
        return handled


class Reply:
    """An answer whose head has come: iterate its pieces once, then `aclose()`, whatever happened.

    Pieces are the body as it arrives, decompressed. Raises ConnectionFailedError when it breaks off.
    """

    def __init__(self, response: "httpcore2.Response", endpoint: "Endpoint") -> None:
        self.status = response.status
        self.headers: Headers = response.headers
        self.place = endpoint.place
        self._response = response
        self._endpoint = endpoint
        assert isinstance(response.stream, AsyncIterable)
        self._pieces = response.stream.__aiter__()
        encoding = header(self.headers, b"content-encoding").lower()
        self._inflate = None if encoding in {"", "identity"} else _inflater(encoding, endpoint.place)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._pieces.__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            translated = self._endpoint.translate(error)
            if translated is None:
                raise
            raise translated from error
        return piece if self._inflate is None else self._inflate(piece)

    async def body(self, limit: int) -> bytes:
        """The first `limit` bytes of the body."""
        held: list[bytes] = []
        size = 0
        async for piece in self:
            held.append(piece)
            size += len(piece)
            if size >= limit:
                break
        return b"".join(held)[:limit]

    async def aclose(self) -> None:
        """Frees the connection for the next call; one that is not at the end of its body is closed at once."""
        if isinstance(self._pieces, AsyncGenerator):
            await self._pieces.aclose()
        await self._response.aclose()


class Credential(Protocol):
    """A key that can change while the process runs."""

    async def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """What authorises a call. Raises ProviderError when there is no key to be had."""

    async def renew(self, used: Sequence[tuple[bytes, bytes]]) -> bool:
        """A call with the headers `used` was answered 401. Whether another try may help."""


class Endpoint:
    """Calls below one base URL. `headers` and `query` go with every call; `proxy` is a URL or None. `observe` sees
    the status and headers of every answer. `{model}` in the URL is replaced by the model of the call.
    """

    def __init__(
        self,
        place: Place,
        *,
        headers: Mapping[str, str],
        limits: "TimeLimits",
        proxy: str | None = None,
        query: Mapping[str, str] | None = None,
        tls: "TlsFiles | None" = None,
        credential: Credential | None = None,
        observe: Observe | None = None,
    ) -> None:
        parts = check_base_url(place.url, setting=place.setting)
        assert parts.hostname is not None
        self.place = place
        self.limits = limits
        self.host = parts.hostname
        self._scheme, self._port = parts.scheme, parts.port
        self._path = parts.path.rstrip("/")
        self._query = "&".join(filter(None, (parts.query, urlencode(query or {}))))
        self._proxy = proxy
        self._tls = tls
        self._credential = credential
        self._observe = observe
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        fixed = {
            "host": host if parts.port is None else f"{host}:{parts.port}",
            "user-agent": "antiphon",
            "accept-encoding": "identity",
            **headers,
        }
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in fixed.items()]
        self._extensions = {"timeout": {"connect": limits.connect}}
        self._urls: dict[str, httpcore2.URL] = {}
        self._pool: httpcore2.AsyncConnectionPool | None = None
        self._building = anyio.Lock()

    def timer(self) -> CallTimer:
        return CallTimer(self.limits)

    async def post(self, path: str, body: bytes, *, model: str = "") -> Reply:
        """Sends JSON and returns when the head of the answer has come, whatever its status. A call that is refused
        for its key (401) is made once more with a new one, where the key can be had anew.

        Raises ConnectionFailedError, ProviderTimeoutError (connecting only: the rest is `timer()`'s),
        ProviderConfigurationError (a certificate that cannot be trusted) and what the credential raises.
        """
        return await self._request("POST", path, body, model)

    async def get(self, path: str, *, beside_v1: bool = False) -> Reply:
        """As `post`, without a body. `beside_v1`: the path is below the URL without its `/v1`."""
        if beside_v1 and self._path.endswith("/v1") and path not in self._urls:
            import httpcore2

            target = self._path.removesuffix("/v1") + path
            self._urls[path] = httpcore2.URL(
                scheme=self._scheme, host=self.host, port=self._port, target=target
            )
        return await self._request("GET", path, None, "")

    async def _request(self, method: str, path: str, body: bytes | None, model: str) -> Reply:
        if self._credential is None:
            return await self._send(method, path, body, model, ())
        used = await self._credential.headers()
        reply = await self._send(method, path, body, model, used)
        if reply.status == 401 and await self._renewed(reply, used):
            reply = await self._send(method, path, body, model, await self._credential.headers())
        return reply

    async def _renewed(self, reply: Reply, used: Sequence[tuple[bytes, bytes]]) -> bool:
        assert self._credential is not None
        try:
            renewed = await self._credential.renew(used)
        except BaseException:
            await reply.aclose()
            raise
        if renewed:
            await reply.aclose()
        return renewed

    async def _send(
        self, method: str, path: str, body: bytes | None, model: str, more: Sequence[tuple[bytes, bytes]]
    ) -> Reply:
        pool = self._pool or await self._built_pool()
        import httpcore2

        headers = [*self._headers, *more]
        if body is not None:
            headers.append((b"content-length", b"%d" % len(body)))
        request = httpcore2.Request(
            method,
            self._urls.get(path) or self._url(path, model),
            headers=headers,
            content=body,
            extensions=self._extensions,
        )
        try:
            response = await pool.handle_async_request(request)
        except Exception as error:
            translated = self.translate(error)
            if translated is None:
                raise
            raise translated from error
        if self._observe is not None:
            self._observe(response.status, response.headers)
        return Reply(response, self)

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def translate(self, error: Exception) -> errors.ProviderError | None:
        """An exception of httpcore2 as ours; None for any other."""
        import httpcore2

        url, setting = self.place.url, self.place.setting
        reason = self.place.quote(str(error)) or type(error).__name__
        if isinstance(error, httpcore2.ConnectTimeout):
            return errors.ProviderTimeoutError(
                f"{url} did not accept a connection within {self.limits.connect:g} s; check {setting}"
            )
        if isinstance(error, httpcore2.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return errors.ProviderConfigurationError(
                f"{url} shows a certificate that this machine does not trust ({reason}); "
                "install its CA, or name it in SSL_CERT_FILE"
            )
        if isinstance(error, httpcore2.ConnectError):
            return errors.ConnectionFailedError(
                f"{url} cannot be reached ({reason}); is the server running? {setting} holds its address"
            )
        if isinstance(error, httpcore2.ProxyError):
            return errors.ConnectionFailedError(f"the proxy on the way to {url} refused: {reason}")
        if isinstance(error, httpcore2.RemoteProtocolError | httpcore2.NetworkError):
            return errors.ConnectionFailedError(f"the connection to {url} broke: {reason}")
        if isinstance(error, httpcore2.ProtocolError | httpcore2.UnsupportedProtocol):
            return errors.ProviderConfigurationError(f"{url} cannot be called: {reason}; check {setting}")
        return None

    def _url(self, path: str, model: str) -> "httpcore2.URL":
        import httpcore2

        whole = self._path + path
        fixed = MODEL not in whole
        whole = whole.replace(MODEL, quote(model, safe=""))
        query = self._query and f"{'&' if '?' in whole else '?'}{self._query}"
        url = httpcore2.URL(scheme=self._scheme, host=self.host, port=self._port, target=whole + query)
        if fixed:
            self._urls[path] = url
        return url

    async def _built_pool(self) -> "httpcore2.AsyncConnectionPool":
        async with self._building:
            if self._pool is None:
                self._pool = await load(self._build)
            return self._pool

    def _build(self) -> "httpcore2.AsyncConnectionPool":
        """Runs in a worker thread: the imports and the certificates must not stall the event loop."""
        import httpcore2

        from providers.http.network import AsyncioBackend

        secure = self._scheme == "https"
        proxy = None if self._proxy is None else _proxy(self._proxy)
        return httpcore2.AsyncConnectionPool(
            ssl_context=self._ssl_context() if secure else None,
            proxy=proxy,
            max_connections=None,  # `providers/limits.py` bounds the calls
            max_keepalive_connections=64,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=AsyncioBackend(),
        )

    def _ssl_context(self) -> "ssl.SSLContext":
        import httpcore2

        context = httpcore2.default_ssl_context()
        files = self._tls
        if files is None:
            return context
        try:
            if files.ca_file is not None:
                context.load_verify_locations(files.ca_file)
            if files.client_certificate is not None:
                context.load_cert_chain(files.client_certificate, files.client_key)
        except OSError as error:  # ssl.SSLError too
            named = [files.ca_file, files.client_certificate, files.client_key]
            held = ", ".join(str(name) for name in named if name is not None)
            raise errors.ProviderConfigurationError(
                f"the certificate files for {self.place.url} cannot be used ({error}); they are {held}"
            ) from error
        return context


def _proxy(url: str) -> "httpcore2.Proxy":
    import httpcore2

    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = httpcore2.URL(
        scheme=parts.scheme,
        host=host or "",
        port=parts.port or (443 if parts.scheme == "https" else 80),
        target="/",
    )
    if parts.username is None:
        return httpcore2.Proxy(address)
    return httpcore2.Proxy(address, auth=(unquote(parts.username), unquote(parts.password or "")))


class _Inflate:
    """gzip and deflate bodies, which only a proxy that ignores `accept-encoding: identity` sends."""

    def __init__(self) -> None:
        import zlib  # a body is almost never compressed

        self._zlib = zlib
        self._state = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def __call__(self, piece: bytes) -> bytes:
        try:
            return self._state.decompress(piece)
        except self._zlib.error as error:
            raise errors.BadResponseError(
                f"the body is not what its content-encoding says: {error}"
            ) from error


def _inflater(encoding: str, place: Place) -> _Inflate:
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise errors.BadResponseError(
            f"{place.url} compressed its answer as {place.quote(encoding)!r} though none was asked for; "
            "a proxy on the way must leave it as it is",
            retryable=False,
        )
    return _Inflate()
