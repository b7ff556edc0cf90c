"""Answers kept by the content of their request: opt-in, in memory, bounded in bytes, for deterministic settings only.

Only a request with temperature 0 is looked up. What was asked is the key: who asked (the labels) is not. An answer
from the cache costs nothing, and says so in its usage.
"""

import hashlib
from collections import OrderedDict

import msgspec

from providers.base import ModelProfile, ModelProvider, OnDelta
from providers.messages import Answer, Request, RequestLabels, TextDelta
from providers.usage import Usage


def content_key(provider: str, request: Request) -> str:
    """The same for requests that say the same, whoever asks."""
    asked = msgspec.structs.replace(request, labels=RequestLabels())
    return hashlib.sha256(provider.encode() + b"\0" + msgspec.json.encode(asked)).hexdigest()


class ResponseCache:
    """The least recently used answers leave first."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._size = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> Answer | None:
        data = self._answers.get(key)
        if data is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(key)
        return msgspec.json.decode(data, type=Answer)

    def put(self, key: str, answer: Answer) -> None:
        data = msgspec.json.encode(answer)
        if len(data) > self._max:
            return
        self._size += len(data) - len(self._answers.pop(key, b""))
        self._answers[key] = data
        while self._size > self._max:
            _, oldest = self._answers.popitem(last=False)
            self._size -= len(oldest)


class CachedProvider:
    """A ModelProvider before which a cache is asked."""

    def __init__(self, inner: ModelProvider, cache: ResponseCache) -> None:
        self._inner = inner
        self._cache = cache

    @property
    def name(self) -> str:
        return self._inner.name

    def profile(self, model: str) -> ModelProfile:
        return self._inner.profile(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        if request.temperature != 0:
            return await self._inner.complete(request, on_delta=on_delta)
        key = content_key(self._inner.name, request)
        kept = self._cache.get(key)
        if kept is not None:
            if on_delta is not None and kept.message.text:
                on_delta(TextDelta(kept.message.text))
            return msgspec.structs.replace(kept, usage=Usage(), discarded_attempts=0)
        answer = await self._inner.complete(request, on_delta=on_delta)
        self._cache.put(key, answer)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()
