from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command_line import Antiphon

CONFIG = Path(".config", "antiphon", "config.toml")


@pytest.fixture
def antiphon(tmp_path: Path) -> Antiphon:
    """The installed program with an empty home and no model."""
    return Antiphon(tmp_path / "home", {"TERM": "xterm-256color"})


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work space"
    folder.mkdir()
    (folder / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "test_calc.py").write_text(
        "import unittest\n\nfrom calc import add\n\n\n"
        "class Calc(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(1, 2), 3)\n"
    )
    return folder


@pytest.fixture
def configure(antiphon: Antiphon) -> Callable[[str], Path]:
    """Writes the user's configuration."""

    def write(content: str) -> Path:
        file = antiphon.home / CONFIG
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    return write
