"""What public tables know of a vendor's models: prices (the package genai-prices), windows, output limits, abilities.

The vendor is known from the base URL alone, never from a model's name: a local `deepseek-chat` is not DeepSeek's. The
tables are loaded once, in a worker thread, at the first call of a vendor that can be in them (0.2 s and about 25 MB);
until then everything is unknown. Nothing is fetched.
"""

import importlib
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgspec

from providers.base import ModelProfile, Prices
from providers.loading import load
from providers.usage import Usage

_MODELS = Path(__file__).parent / "model_table" / "models.json"


class _Entry(msgspec.Struct, frozen=True):
    window: int | None = None
    output: int | None = None
    abilities: tuple[str, ...] = ()


class _Table(msgspec.Struct, frozen=True):
    models: dict[str, _Entry]


class PriceTable:
    """Facts by base URL and model. One for a process."""

    def __init__(self) -> None:
        self._snapshot: Any = None
        self._package: Any = None
        self._models: dict[str, _Entry] = {}
        self._loaded = False
        self._loading = anyio.Lock()
        self._vendors: dict[str, str | None] = {}

    async def load(self) -> None:
        """Off the event loop; returns at once when it was done before."""
        if not self._loaded:
            async with self._loading:
                if not self._loaded:
                    await load(self.load_now)

    def load_now(self) -> None:
        """As `load`, for a program without an event loop. Without the package prices stay unknown."""
        if self._loaded:
            return
        try:
            self._package = importlib.import_module("genai_prices")
            snapshots = importlib.import_module("genai_prices.data_snapshot")
        except ImportError:
            self._package = None
        else:
            self._snapshot = snapshots.get_snapshot()
        self._models = msgspec.json.decode(_MODELS.read_bytes(), type=_Table).models
        self._loaded = True

    def profile(self, base_url: str, model: str) -> ModelProfile | None:
        """What is known of the model; None when nothing is, or before `load`. Prices are those of the first tier."""
        vendor = self._vendor(base_url)
        if vendor is None:
            return None
        entry = self._models.get(f"{vendor}/{model}")
        info = self._info(vendor, model)
        if entry is None and info is None:
            return None
        entry = _Entry() if entry is None else entry
        window = info.context_window if info is not None else None
        return ModelProfile(window or entry.window, entry.output, _first_tier(info), entry.abilities or None)

    def price(self, base_url: str, model: str, usage: Usage) -> Usage:
        """The usage of one call with its cost, tiers included; unknown where anything needed is unknown."""
        vendor = self._vendor(base_url)
        if vendor is None or usage.input_tokens is None or usage.output_tokens is None:
            return usage
        if self._info(vendor, model) is None:
            return usage
        counts: dict[str, int] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        if usage.cached_tokens:
            counts["cache_read_tokens"] = min(usage.cached_tokens, usage.input_tokens)
        if usage.cache_write_tokens:
            counts["cache_write_tokens"] = usage.cache_write_tokens
        try:
            calculated = self._package.calc_price(
                self._package.Usage(**counts), model_ref=model, provider_id=vendor
            )
        except (LookupError, ValueError):
            return usage
        return msgspec.structs.replace(usage, cost_usd=float(calculated.total_price))

    def _vendor(self, base_url: str) -> str | None:
        """Whose API answers there. A host that only begins like a vendor's is none."""
        if base_url not in self._vendors:
            if self._snapshot is None:
                return None
            self._vendors[base_url] = self._match(base_url)
        return self._vendors[base_url]

    def _match(self, base_url: str) -> str | None:
        parts = urlsplit(base_url)
        url = f"{parts.scheme}://{parts.hostname}{parts.path}/"
        for provider in self._snapshot.providers:
            found = re.match(provider.api_pattern, url)
            if found is not None and (url[found.end() - 1] == "/" or url[found.end()] == "/"):
                return str(provider.id)
        return None

    def _info(self, vendor: str, model: str) -> Any:
        try:
            return self._snapshot.find_provider_model(model, None, vendor, None)[1]
        except LookupError:
            return None


def _first_tier(info: Any) -> Prices | None:
    prices = getattr(info, "prices", None)
    if isinstance(prices, list):  # several by date: the one without a condition, or the latest
        prices = next((each.prices for each in reversed(prices)), None)
    given = _amount(getattr(prices, "input_mtok", None))
    taken = _amount(getattr(prices, "output_mtok", None))
    if given is None or taken is None:
        return None
    return Prices(given, taken, _amount(getattr(prices, "cache_read_mtok", None)))


def _amount(price: Any) -> float | None:
    if isinstance(price, Decimal | int | float):
        return float(price)
    base = getattr(price, "base", None)
    return None if base is None else float(base)
