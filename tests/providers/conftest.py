import pytest

from tests.providers.virtual_time import VirtualTime


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()
