import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import anyio
import httpcore2
import pytest

from providers import errors
from providers.config import TimeLimits
from providers.http.network import WINDOW_S, AsyncioBackend
from tests.providers.chat import HELLO, ask, chat
from tests.providers.wire_server import Exchange, wire_server

REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    exchange.stream(*HELLO)


async def read_all(stream: httpcore2.AsyncNetworkStream) -> list[bytes]:
    pieces: list[bytes] = []
    while piece := await stream.read(65536):
        pieces.append(piece)
    return pieces


async def test_pieces_within_the_window_come_together_and_the_first_and_last_at_once() -> None:
    async def drips(exchange: Exchange) -> None:
        for _ in range(40):
            exchange.send(b"x")
            await anyio.sleep(WINDOW_S / 20)
        exchange.close()

    async with wire_server(drips) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port)
        await stream.write(REQUEST)
        pieces = await read_all(stream)
        await stream.aclose()
    assert pieces[0] == b"x"
    assert b"".join(pieces) == b"x" * 40
    assert len(pieces) <= 20


async def test_a_server_that_floods_is_made_to_wait_for_its_reader() -> None:
    sent = 16 * 1024 * 1024

    async def floods(exchange: Exchange) -> None:
        exchange.send(b"x" * sent)
        exchange.close()

    async with wire_server(floods) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port)
        await stream.write(REQUEST)
        received = len(await stream.read(1))
        server_side = server.connections[0]
        held_back: list[int] = []
        while server_side.get_write_buffer_size() not in held_back[-1:]:  # until it no longer drains
            held_back.append(server_side.get_write_buffer_size())
            await anyio.sleep(0.05)
        assert held_back[-1] > sent // 2
        received += sum(map(len, await read_all(stream)))
        await stream.aclose()
    assert received == sent


async def test_a_reset_is_a_read_error() -> None:
    async def resets(exchange: Exchange) -> None:
        sock = exchange.transport.get_extra_info("socket")
        sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: close sends RST
        exchange.transport.abort()

    async with wire_server(resets) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port)
        await stream.write(REQUEST)
        with pytest.raises(httpcore2.ReadError):
            await stream.read(1)
        await stream.aclose()


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    # A listening socket whose queue is full answers no further connection.
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1) as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        filling = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        async with chat(f"http://127.0.0.1:{port}/v1", limits=TimeLimits(connect=0.2)) as provider:
            with pytest.raises(
                errors.ProviderTimeoutError, match=r"did not accept a connection within 0\.2 s"
            ):
                await provider.complete(ask())
        for _, writer in filling:
            writer.close()
            await writer.wait_closed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with a self-signed certificate for 127.0.0.1 and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for the TLS tests")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run([openssl, *command.split(), *files], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_that_nobody_signed_is_named_with_its_mend(certificate: Path) -> None:
    async with (
        wire_server(hello, tls=serving(certificate)) as server,
        chat(server.base_url) as provider,
    ):
        with pytest.raises(errors.ProviderConfigurationError, match="SSL_CERT_FILE") as raised:
            await provider.complete(ask())
    assert server.base_url in str(raised.value)
    assert not raised.value.retryable


async def test_calls_over_tls_share_a_connection_and_cancel_at_once(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def then_hangs(exchange: Exchange) -> None:
        if len(server.exchanges) <= 2:
            exchange.stream(*HELLO)
        else:
            await exchange.client_closed.wait()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    async with (
        wire_server(then_hangs, tls=serving(certificate)) as server,
        chat(server.base_url) as provider,
    ):
        for _ in range(2):
            assert (await provider.complete(ask())).message.text == "Hello."
        assert len(server.connections) == 1
        with anyio.move_on_after(0.1):
            await provider.complete(ask())
        with anyio.fail_after(1):
            await server.exchanges[2].client_closed.wait()


async def test_http_spoken_to_a_tls_port(certificate: Path) -> None:
    async with (
        wire_server(hello, tls=serving(certificate)) as server,
        chat(f"http://127.0.0.1:{server.port}/v1") as provider,
    ):
        with pytest.raises(errors.ConnectionFailedError):
            await provider.complete(ask())


async def test_tls_spoken_to_an_http_port() -> None:
    async def answers_in_clear(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, answers_in_clear)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with chat(f"https://127.0.0.1:{port}/v1") as provider:
            with pytest.raises(errors.ConnectionFailedError, match="cannot be reached"):
                await provider.complete(ask())
        group.cancel_scope.cancel()


async def test_tls_through_a_proxy(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def tunnel(client: anyio.abc.SocketStream) -> None:
        async with client:
            asked.append((await client.receive()).partition(b"\r\n")[0])
            await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with (
                await anyio.connect_tcp("127.0.0.1", server.port) as remote,
                anyio.create_task_group() as both,
            ):
                both.start_soon(copy, client, remote)
                both.start_soon(copy, remote, client)

    async def copy(source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
        try:
            async for data in source:
                await target.send(data)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    async with (
        wire_server(hello, tls=serving(certificate)) as server,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, tunnel)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with chat(server.base_url, proxy=f"http://127.0.0.1:{port}") as provider:
            for _ in range(2):
                assert (await provider.complete(ask())).message.text == "Hello."
        group.cancel_scope.cancel()
    assert asked == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1".encode()]
