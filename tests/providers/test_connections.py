"""HTTP/1.1 as servers frame it, byte by byte, and which connections are used again. Over loopback sockets."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.lowlevel
import pytest

from providers.http.connections import Answer, Connections, Origin, Proxy
from providers.http.network import BrokenConnectionError, ProxyRefusedError, UncallableError
from tests.providers.wire_server import Exchange, Handler, WireServer, chunk, plain, wire_server

SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n06\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n"
)
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello world"
OLD = b"HTTP/1.0 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
AFTER_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + SIZED


@asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[tuple[Connections, WireServer]]:
    async with wire_server(handler) as server:
        connections = Connections(Origin("127.0.0.1", server.port, None), connect_s=5)
        try:
            yield connections, server
        finally:
            await connections.aclose()


async def called(connections: Connections, body: bytes = b"{}") -> Answer:
    headers = [(b"host", b"model.test"), (b"content-length", b"%d" % len(body))]
    return await connections.call("POST", b"/v1/x", headers, body)


async def read(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.piece():
        pieces.append(piece)
    await answer.aclose()
    return b"".join(pieces)


def sends(*parts: bytes, closes: bool = False) -> Handler:
    async def handler(exchange: Exchange) -> None:
        for part in parts:
            exchange.send(part)
            await anyio.lowlevel.checkpoint()  # a segment of its own
        if closes:
            exchange.close()

    return handler


@pytest.mark.parametrize(
    ("said", "closes", "kept"),
    [
        (SIZED, False, True),
        (CHUNKED, False, True),
        (AFTER_HINTS, False, True),
        (UNTIL_THE_END, True, False),
        (OLD, False, False),
        (plain(200, b"hello world", "connection: close"), False, False),
    ],
    ids=["sized", "chunked", "hints", "until the end", "HTTP/1.0", "connection: close"],
)
async def test_a_body_is_whole_wherever_it_is_cut_and_a_connection_is_used_again_where_it_can_be(
    said: bytes, closes: bool, kept: bool
) -> None:
    cuts = iter(range(1, len(said)))

    async def cut(exchange: Exchange) -> None:
        at = next(cuts)
        await sends(said[:at], said[at:], closes=closes)(exchange)

    async with connected(cut) as (connections, server):
        for _ in range(1, len(said)):
            answer = await called(connections)
            assert answer.status == 200
            assert await read(answer) == b"hello world"
        assert len(server.connections) == (1 if kept else len(said) - 1)


async def test_chunks_that_came_together_are_one_piece() -> None:
    body = b"".join(chunk(b"%d," % number) for number in range(100)) + chunk(b"end") + b"0\r\n\r\n"
    async with connected(sends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body)) as (
        connections,
        _,
    ):
        answer = await called(connections)
        piece = await answer.piece()
        assert piece == b"".join(b"%d," % number for number in range(100)) + b"end"
        assert await answer.piece() == b""
        assert await answer.piece() == b""
        await answer.aclose()


async def test_what_came_before_a_fault_is_handed_over_first() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with connected(sends(head + chunk(b"good") + b"zz\r\nbad")) as (connections, server):
        answer = await called(connections)
        assert await answer.piece() == b"good"
        for _ in range(2):
            with pytest.raises(BrokenConnectionError):
                await answer.piece()
        await answer.aclose()
        await server.exchanges[0].client_closed.wait()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
    ],
    ids=["nothing", "cut head", "no HTTP", "101", "coding", "two lengths", "long head"],
)
async def test_what_is_no_answer_is_an_error_and_the_connection_goes(said: bytes) -> None:
    async with connected(sends(said, closes=True)) as (connections, server):
        with pytest.raises(BrokenConnectionError):
            await called(connections)
        await server.exchanges[0].client_closed.wait()


async def test_a_cut_body_is_an_error() -> None:
    async with connected(sends(SIZED[:-1], closes=True)) as (connections, _):
        answer = await called(connections)
        assert await answer.piece() == b"hello worl"
        with pytest.raises(BrokenConnectionError):
            await answer.piece()
        await answer.aclose()


async def test_an_answer_that_is_not_read_to_its_end_costs_its_connection() -> None:
    async with connected(sends(CHUNKED[:-3])) as (connections, server):
        answer = await called(connections)
        await answer.aclose()
        await answer.aclose()
        assert await answer.piece() == b""
        await server.exchanges[0].client_closed.wait()


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async with connected(sends(SIZED)) as (connections, server):
        await read(await called(connections))
        server.connections[0].close()
        await server.exchanges[0].client_closed.wait()
        await read(await called(connections))
        assert len(server.connections) == 2


async def test_a_header_with_a_line_end_is_never_sent() -> None:
    async with connected(sends(SIZED)) as (connections, server):
        with pytest.raises(UncallableError):
            await connections.call("POST", b"/", [(b"host", b"x"), (b"y", b"1\r\nz: 2")], b"")
        assert not server.exchanges


async def test_closing_ends_calls_that_are_open() -> None:
    async with connected(sends(CHUNKED[:-3])) as (connections, server):
        answer = await called(connections)
        await answer.piece()
        await connections.aclose()
        await answer.aclose()
        await server.exchanges[0].client_closed.wait()


async def test_a_proxy_that_makes_no_tunnel_says_why() -> None:
    async with connected(sends(b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n")) as (_, server):
        tls = ssl.create_default_context()
        proxy = Proxy.at(f"http://me:p%40ss@127.0.0.1:{server.port}", None)
        connections = Connections(Origin("model.test", 443, tls), connect_s=5, proxy=proxy)
        with pytest.raises(ProxyRefusedError, match=r"407 Who are you\?"):
            await called(connections)
        exchange = server.exchanges[0]
        assert exchange.head.startswith("CONNECT model.test:443 HTTP/1.1\r\n")
        assert exchange.header("proxy-authorization") == "Basic bWU6cEBzcw=="
        await exchange.client_closed.wait()
