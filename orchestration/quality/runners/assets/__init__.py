"""Small programs of ours that run inside a workspace's own Python or node and report what tests do.

They are copied into a scratch folder before each run, so that what runs never depends on where Antiphon
is installed. Nothing of ours imports them.
"""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile


def copy_assets(scratch: Path, names: Sequence[str]) -> Path:
    """The folder that holds them."""
    folder = scratch / "assets"
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            copyfile(Path(__file__).parent / name, folder / name)
    return folder
