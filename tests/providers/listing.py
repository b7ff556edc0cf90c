"""A bare endpoint at a base URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from providers.config import TimeLimits
from providers.http.endpoint import Endpoint
from providers.http.failures import Place


@asynccontextmanager
async def endpoint(base_url: str) -> AsyncIterator[Endpoint]:
    made = Endpoint(Place(base_url, "BASE_URL", "API_KEY"), headers={}, limits=TimeLimits())
    try:
        yield made
    finally:
        await made.aclose()
