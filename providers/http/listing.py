"""The models that an endpoint lists, with the windows it serves where it says so.

OpenAI-compatible servers (vLLM, LM Studio, gateways), llama.cpp's own properties, Anthropic, Gemini and Ollama each say
it elsewhere. A list that is asked for is a person's wish or a local server's first call, never a retry.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import msgspec

from providers import errors
from providers.http.endpoint import MAX_ERROR_BODY, Endpoint
from providers.http.failures import error_of_status, is_html
from providers.http.late_pattern import LatePattern
from providers.http.streamed_call import not_an_api
from providers.http.wire_json import token_count

LIST_LIMIT_S = 10.0
_MAX_BODY = 16 * 1024 * 1024
PATHS = {
    "openai": "/models",
    "openai-responses": "/models",
    "anthropic": "/v1/models?limit=1000",
    "google": "/v1beta/models?pageSize=1000",
    "ollama": "/api/tags",
}
_WINDOWS = (  # fields of one listed model, the served window before what the model could take
    "loaded_context_length",
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
    "n_ctx",
)
_OTHER_WORK = LatePattern(
    r"embed|^tts-|-tts\b|whisper|transcribe|dall-e|gpt-image|moderation|^sora|realtime|gpt-audio|^babbage-|^davinci-"
)
_OUTPUTS = ("max_output_tokens", "max_tokens", "max_completion_tokens", "outputTokenLimit")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as the server lists it. None: not said. `answers`: it may take part in a conversation, as far as its
    entry or its name tells (lists of vendors hold models for pictures, speech and embeddings too).
    """

    name: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    answers: bool = True


async def list_models(endpoint: Endpoint, api: str) -> list[ListedModel]:
    """Takes at most `LIST_LIMIT_S`. Raises ProviderError."""
    place = endpoint.place
    try:
        with anyio.fail_after(LIST_LIMIT_S):
            body = await _get(endpoint, PATHS[api])
    except TimeoutError as error:
        raise errors.ProviderTimeoutError(
            f"{place.url} did not list its models within {LIST_LIMIT_S:g} s"
        ) from error
    if is_html(body):
        raise not_an_api(place, body)
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.BadResponseError(f"{place.url} lists its models in a way that is no JSON") from error
    return list(_models(payload))


async def served_window(endpoint: Endpoint, model: str) -> int | None:
    """The window that an OpenAI-compatible local server serves for `model`, in tokens; None where it does not say."""
    try:
        listed = await list_models(endpoint, "openai")
    except errors.ProviderError:
        return None
    found = next((each for each in listed if each.name == model), None)
    if found is None and len(listed) == 1:  # one model is loaded, whatever it is called
        found = listed[0]
    if found is not None and found.context_window is not None:
        return found.context_window
    return await _llama_window(endpoint)


async def _llama_window(endpoint: Endpoint) -> int | None:
    """llama.cpp serves its properties beside `/v1`."""
    try:
        with anyio.fail_after(LIST_LIMIT_S):
            payload = msgspec.json.decode(await _get(endpoint, "/props", beside_v1=True))
    except (errors.ProviderError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    settings = payload.get("default_generation_settings") if isinstance(payload, dict) else None
    return token_count(settings.get("n_ctx")) if isinstance(settings, dict) else None


async def _get(endpoint: Endpoint, path: str, *, beside_v1: bool = False) -> bytes:
    reply = await endpoint.get(path, beside_v1=beside_v1)
    try:
        body = await reply.body(_MAX_BODY if reply.status == 200 else MAX_ERROR_BODY)
    finally:
        await reply.aclose()
    if reply.status != 200:
        raise error_of_status(reply.status, reply.headers, body, place=endpoint.place, model="")
    return body


def _models(payload: Any) -> Iterable[ListedModel]:
    listed = payload
    if isinstance(payload, dict):
        listed = payload.get("data") or payload.get("models") or []
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict):
            continue
        name = entry.get("id") or entry.get("name") or entry.get("model")
        if isinstance(name, str) and name:
            name = name.removeprefix("models/")
            meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
            yield ListedModel(
                name,
                _first(entry, _WINDOWS) or _first(meta or {}, ("n_ctx",)),
                _first(entry, _OUTPUTS),
                _answers(name, entry.get("supportedGenerationMethods")),
            )


def _answers(name: str, methods: Any) -> bool:
    if isinstance(methods, list):  # Gemini says it
        return "generateContent" in methods
    return _OTHER_WORK.search(name.lower()) is None


def _first(entry: dict[str, Any], names: Iterable[str]) -> int | None:
    for name in names:
        count = token_count(entry.get(name))
        if count:
            return count
    return None
