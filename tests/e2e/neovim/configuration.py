"""The configuration of the documentation, word for word: what users copy is what the tests run."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "editors.md"
_BLOCK = re.compile(r"^```lua\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documented_lua() -> str:
    """Every Lua block of `docs/editors.md`, in order."""
    blocks = _BLOCK.findall(DOCUMENT.read_text("utf-8"))
    assert blocks, f"{DOCUMENT.name} shows no Lua"
    return "\n".join(blocks)
