from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.quality.setting import Setting, real_launcher


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    state = tmp_path / "state"
    state.mkdir()
    async with real_launcher(state) as launcher:
        yield Setting(tmp_path, launcher)
