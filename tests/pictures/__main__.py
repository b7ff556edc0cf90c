"""`python -m tests.pictures [NAME …]`: takes pictures anew, all of them or those named."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.pictures.drawing import svg
from tests.pictures.scenes import SCENES
from tests.pictures.terminal import NoTerminalError

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(SCENES)}")
    names = parser.parse_args().names or list(SCENES)
    if unknown := [name for name in names if name not in SCENES]:
        parser.error(f"there is no picture {unknown[0]}; there are {', '.join(SCENES)}")
    for name in names:
        sys.stderr.write(f"{name} …\n")
        with tempfile.TemporaryDirectory(prefix="antiphon-pictures-") as folder:
            try:
                picture = SCENES[name](Path(folder).resolve())
            except NoTerminalError as error:
                sys.stderr.write(f"{error}\n")
                return 2
        drawn = svg(picture.styled, title=picture.title, columns=picture.columns, name=name)
        (IMAGES / f"{name}.svg").write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
