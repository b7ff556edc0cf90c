import json

import anyio

from providers.local_servers import LocalServer, probe_local
from tests.providers.wire_server import Exchange, plain, wire_server


async def test_servers_that_list_models_are_found_in_order_and_others_are_not() -> None:
    async def lists(exchange: Exchange) -> None:
        assert exchange.head.startswith("GET /v1/models ")
        exchange.send(plain(200, json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()))

    async def empty(exchange: Exchange) -> None:
        exchange.send(plain(200, b'{"data": []}'))

    async def web_page(exchange: Exchange) -> None:
        exchange.send(plain(200, b"<html></html>"))

    async def other_json(exchange: Exchange) -> None:
        exchange.send(plain(200, b'{"jobs": []}'))

    async def refuses(exchange: Exchange) -> None:
        exchange.send(plain(401, b"{}"))

    async def silent(exchange: Exchange) -> None:
        await exchange.client_closed.wait()

    async with (
        wire_server(lists) as a,
        wire_server(empty) as b,
        wire_server(web_page) as c,
        wire_server(other_json) as d,
        wire_server(refuses) as e,
        wire_server(silent) as f,
    ):
        ports = [
            ("nobody", 1),
            *((name, s.port) for name, s in zip("fedcba", (f, e, d, c, b, a), strict=True)),
        ]
        with anyio.fail_after(5):
            found = await probe_local(ports)
    assert found == [LocalServer("b", b.base_url, ()), LocalServer("a", a.base_url, ("a", "b"))]
