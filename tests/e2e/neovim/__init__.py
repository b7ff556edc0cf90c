"""A real Neovim for end-to-end tests: headless, its own home, configured by the Lua that `docs/editors.md` shows.

`Neovim` starts it and types into it; `recording.lua` keeps what its LSP client was told and shown.
"""

from tests.e2e.neovim.editor import Neovim
from tests.e2e.neovim.project import Project
from tests.e2e.neovim.recorded import AppliedEdit, Lens, Progress, Shown

__all__ = ["AppliedEdit", "Lens", "Neovim", "Progress", "Project", "Shown"]
