"""Virtual environments for workspaces of tests: made in a moment, without a network, without our own plugins."""

import importlib.util
import sys
import venv
from pathlib import Path

PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "py", "pygments")


def bare_environment(folder: Path) -> Path:
    """One that holds nothing but Python; returns its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    return folder / "bin" / "python"


def environment_with_pytest(folder: Path) -> Path:
    """One that holds pytest and what it needs, ours by links; returns its interpreter. It starts in a fraction
    of the time that our own environment with its plugins takes.
    """
    python = bare_environment(folder)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for name in PYTEST:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin)
        place = place.parent if place.name == "__init__.py" else place
        (folder / "lib" / version / "site-packages" / place.name).symlink_to(place)
    return python
