import pytest

from providers.errors import ProviderConfigurationError
from providers.http.proxies import proxy_for
from tests.providers.chat import HELLO, ask, chat
from tests.providers.wire_server import Exchange, wire_server

HTTPS = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        (HTTPS, {"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, "http://lower"),
        (HTTPS, {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        (HTTPS, {"HTTP_PROXY": "http://proxy"}, None),
        (HTTPS, {"ALL_PROXY": "http://proxy"}, "http://proxy"),
        (HTTPS, {"HTTPS_PROXY": " "}, None),
        (HTTPS, {"ALL_PROXY": "http://proxy", "NO_PROXY": "example.com"}, None),
        (HTTPS, {"ALL_PROXY": "http://proxy", "NO_PROXY": "other, .example.com"}, None),
        (HTTPS, {"ALL_PROXY": "http://proxy", "NO_PROXY": "ample.com"}, "http://proxy"),
        (HTTPS, {"ALL_PROXY": "http://proxy", "NO_PROXY": "*"}, None),
        ("http://a.test:81/v1", {"ALL_PROXY": "http://proxy", "NO_PROXY": "a.test:81"}, None),
        ("http://a.test:82/v1", {"ALL_PROXY": "http://proxy", "NO_PROXY": "a.test:81"}, "http://proxy"),
        ("http://localhost:1/v1", {"ALL_PROXY": "http://proxy"}, None),
        ("http://127.0.0.1:1/v1", {"ALL_PROXY": "http://proxy"}, None),
        ("http://[::1]:1/v1", {"ALL_PROXY": "http://proxy"}, None),
    ],
)
def test_which_proxy(url: str, environment: dict[str, str], expected: str | None) -> None:
    assert proxy_for(url, environment) == expected


def test_a_kind_of_proxy_that_is_not_spoken_names_the_variable() -> None:
    with pytest.raises(
        ProviderConfigurationError, match=r"ALL_PROXY .*'socks5'.* add api\.example\.com to NO_PROXY"
    ):
        proxy_for(HTTPS, {"ALL_PROXY": "socks5://proxy:1080"})


async def test_a_call_goes_through_the_proxy_with_its_password() -> None:
    async def forwards(exchange: Exchange) -> None:
        exchange.stream(*HELLO)

    async with wire_server(forwards) as proxy:
        url = f"http://me:p%40ss@127.0.0.1:{proxy.port}"
        async with chat("http://model.example/v1", proxy=url) as provider:
            assert (await provider.complete(ask())).message.text == "Hello."
    exchange = proxy.exchanges[0]
    assert exchange.head.startswith("POST http://model.example/v1/chat/completions HTTP/1.1\r\n")
    assert exchange.header("proxy-authorization") == "Basic bWU6cEBzcw=="
