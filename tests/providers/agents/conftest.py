from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.providers.agents.stage import Heard, Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.launcher.aclose()
    assert made.launcher.live() == ()


@pytest.fixture
def heard() -> Heard:
    return Heard()
