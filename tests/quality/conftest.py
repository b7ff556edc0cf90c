from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestration.workspace.git import Git
from tests.quality.setting import Setting, real_launcher


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def setting(tmp_path: Path, python_with_pytest: Path) -> AsyncIterator[Setting]:
    async with real_launcher(tmp_path) as launcher:
        yield Setting(tmp_path, launcher, await Git.find(launcher), python_with_pytest)
