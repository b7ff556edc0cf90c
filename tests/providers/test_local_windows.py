"""Windows that local servers serve, `num_ctx`, prompts that are cut silently, thinking that comes as text."""

import json
from typing import Any

import pytest

from providers import errors
from providers.base import ModelProfile
from providers.http.think_tags import ThinkSplitter
from providers.messages import Image, Message, Request, Text, user
from providers.served_window import WindowReadingProvider
from providers.truncation import is_truncated
from tests.providers.adapters import adapter, ask, url_for
from tests.providers.chat import DONE, chat, delta, event
from tests.providers.wire_server import Exchange, plain, wire_server

LONG = "word " * 4000  # about 5,400 tokens by our estimate


class OllamaServer:
    """Shows a model with a window of 32,768 and reads what `reads` says."""

    def __init__(self, reads: int = 6000, shows: Any = 32_768) -> None:
        self.reads = reads
        self.shows = shows
        self.shown = 0
        self.windows: list[int | None] = []

    async def __call__(self, exchange: Exchange) -> None:
        if "/api/show" in exchange.head:
            self.shown += 1
            info = {"general.architecture": "qwen3", "qwen3.context_length": self.shows}
            exchange.send(plain(200, json.dumps({"model_info": info}).encode()))
            return
        self.windows.append(json.loads(exchange.body).get("options", {}).get("num_ctx"))
        end = {"message": {"content": "ok"}, "done": True, "prompt_eval_count": self.reads, "eval_count": 1}
        exchange.stream(json.dumps(end).encode() + b"\n")


async def test_ollama_serves_a_window_that_holds_the_call_and_never_a_smaller_one() -> None:
    server = OllamaServer()
    async with wire_server(server) as wire, adapter("ollama", wire.base_url.removesuffix("/v1")) as provider:
        for text, reads in (("short", 10), (LONG, 6000), ("short", 10), (LONG * 8, 32_768)):
            server.reads = reads
            await provider.complete(ask("ollama", text=text))
        assert provider.profile("qwen3").context_window == 32_768
    assert server.windows == [8192, 16384, 16384, 32768]
    assert server.shown == 1


async def test_the_users_window_wins_and_an_unknown_one_is_left_to_the_server() -> None:
    server = OllamaServer()
    profiles = {"qwen3": ModelProfile(context_window=12_000)}
    async with wire_server(server) as wire:
        origin = wire.base_url.removesuffix("/v1")
        async with adapter("ollama", origin, profiles=profiles) as provider:
            await provider.complete(ask("ollama"))
        server.shows = "unknown"
        async with adapter("ollama", origin) as provider:
            await provider.complete(ask("ollama"))
            assert provider.profile("qwen3").context_window is None
    assert server.windows == [12_000, None]


async def test_a_prompt_that_ollama_cut_is_an_error_with_the_counts() -> None:
    server = OllamaServer(reads=4096)
    profiles = {"qwen3": ModelProfile(context_window=4096)}
    async with (
        wire_server(server) as wire,
        adapter("ollama", wire.base_url.removesuffix("/v1"), profiles=profiles) as provider,
    ):
        with pytest.raises(errors.PromptTruncatedError, match="cut the conversation silently") as raised:
            await provider.complete(ask("ollama", text=LONG * 4))
    assert (raised.value.limit, raised.value.retryable) == (4096, False)
    assert raised.value.requested is not None
    assert raised.value.requested > 4096


@pytest.mark.parametrize(
    ("reported", "window", "truncated"),
    [
        (2000, 4096, True),
        (2000, None, False),
        (2000, 32_768, False),
        (5000, 4096, False),
        (None, None, False),
    ],
)
def test_when_a_prompt_counts_as_cut(reported: int | None, window: int | None, truncated: bool) -> None:
    assert is_truncated(Request("m", (user(LONG),)), reported, window=window) == truncated


def test_short_prompts_and_pictures_never_count_as_cut() -> None:
    assert not is_truncated(Request("m", (user("hi"),)), 1, window=None)
    picture = Message("user", (Text(LONG), Image("image/png", b"x")))
    assert not is_truncated(Request("m", (picture,)), 10, window=None)


@pytest.mark.parametrize(
    ("models", "props", "window"),
    [
        ({"data": [{"id": "m", "max_model_len": 16_384}]}, None, 16_384),  # vLLM
        ({"data": [{"id": "other", "max_model_len": 9}, {"id": "m", "max_model_len": 7}]}, None, 7),
        ({"data": [{"id": "m", "max_context_length": 131_072, "loaded_context_length": 4096}]}, None, 4096),
        ({"data": [{"id": "x.gguf", "meta": {"n_ctx_train": 8}}]}, {"default_generation_settings": {"n_ctx": 2048}}, 2048),
        ({"data": [{"id": "m"}]}, None, None),
        ([], None, None),
        (None, None, None),
    ],
)  # fmt: skip
async def test_the_served_window_of_compatible_servers(models: Any, props: Any, window: int | None) -> None:
    async def answers(exchange: Exchange) -> None:
        given = {"GET /v1/models ": models, "GET /props ": props}
        for start, payload in given.items():
            if exchange.head.startswith(start):
                exchange.send(plain(404 if payload is None else 200, json.dumps(payload).encode()))
                return
        exchange.stream(
            delta(content="ok"), delta("stop"), event({"choices": [], "usage": {"prompt_tokens": 900}}), DONE
        )

    async with wire_server(answers) as server, chat(server.base_url) as priced:
        adapter_of = priced._inner  # the bare adapter
        provider = WindowReadingProvider(adapter_of, adapter_of._endpoint)  # type: ignore[attr-defined]
        await provider.complete(Request("m", (user("hi"),)))
        assert provider.profile("m").context_window == window
        cut = Request("m", (user(LONG),))
        if window is not None and window < 5000:
            with pytest.raises(errors.PromptTruncatedError):
                await provider.complete(cut)
        else:
            assert (await provider.complete(cut)).message.text == "ok"
    asked = [exchange for exchange in server.exchanges if exchange.head.startswith("GET /v1/models")]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "thinking", "said"),
    [
        ("<think>Hm.\n</think>\n\nHello.", "Hm.\n", "Hello."),
        ("\n <think></think>Hello.", "", "Hello."),
        ("Hello <think>not at the start</think>.", "", "Hello <think>not at the start</think>."),
        ("<thinker>", "", "<thinker>"),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("<th", "", "<th"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("", "", ""),
        ("  two blanks first", "", "  two blanks first"),
    ],
)
def test_thinking_is_separated_however_it_is_cut(text: str, thinking: str, said: str) -> None:
    for size in range(1, len(text) + 2):
        splitter = ThinkSplitter()
        pairs = [splitter.feed(text[at : at + size]) for at in range(0, len(text), size)]
        pairs.append(splitter.rest())
        assert "".join(thought for thought, _ in pairs) == thinking, size
        assert "".join(piece for _, piece in pairs) == said, size


@pytest.mark.parametrize("api", ["openai", "ollama"])
async def test_thinking_in_the_text_of_a_local_server(api: str) -> None:
    async def answers(exchange: Exchange) -> None:
        texts = ("<thi", "nk>Hm.</think>\nHello.")
        if "/api/show" in exchange.head:
            exchange.send(plain(404, b"{}"))
        elif api == "ollama":
            lines = [{"message": {"content": text}, "done": False} for text in texts]
            exchange.stream(*(json.dumps(line).encode() + b"\n" for line in [*lines, {"done": True}]))
        else:
            exchange.stream(*(delta(content=text) for text in texts), delta("stop"), DONE)

    async with (
        wire_server(answers) as server,
        adapter(api, url_for(api, server.base_url.removesuffix("/v1"))) as provider,
    ):
        answer = await provider.complete(ask(api))
    assert (answer.message.text, answer.reasoning) == ("Hello.", "Hm.")


async def test_lists_of_models() -> None:
    from providers.http.listing import ListedModel, list_models
    from tests.providers.listing import endpoint

    lists: dict[str, Any] = {
        "openai": {
            "data": [{"id": "gpt-5"}, {"id": "r", "context_length": 9, "max_completion_tokens": 4}, {}]
        },
        "anthropic": {"data": [{"type": "model", "id": "claude", "max_input_tokens": 7, "max_tokens": 3}]},
        "google": {"models": [{"name": "models/gemini", "inputTokenLimit": 8, "outputTokenLimit": 2}]},
        "ollama": {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}]},
    }
    expected = {
        "openai": [ListedModel("gpt-5"), ListedModel("r", 9, 4)],
        "anthropic": [ListedModel("claude", 7, 3)],
        "google": [ListedModel("gemini", 8, 2)],
        "ollama": [ListedModel("qwen3:8b")],
    }
    for api, payload in lists.items():

        async def answers(exchange: Exchange, payload: Any = payload) -> None:
            exchange.send(plain(200, json.dumps(payload).encode()))

        async with (
            wire_server(answers) as server,
            endpoint(url_for(api, server.base_url.removesuffix("/v1"))) as place,
        ):
            assert await list_models(place, api) == expected[api]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (plain(401, b"{}"), errors.AuthenticationError),
        (plain(200, b"<html>"), errors.BadResponseError),
        (plain(200, b"{"), errors.BadResponseError),
    ],
)
async def test_a_list_that_is_none(answer: bytes, kind: type[errors.ProviderError]) -> None:
    from providers.http.listing import list_models
    from tests.providers.listing import endpoint

    async def answers(exchange: Exchange) -> None:
        exchange.send(answer)

    async with wire_server(answers) as server, endpoint(server.base_url) as place:
        with pytest.raises(kind):
            await list_models(place, "openai")
