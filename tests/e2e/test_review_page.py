"""`docs/review.md`: every command of it does what it says, in the project of its pictures; and the pictures are there."""

import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.pictures.drawing import svg
from tests.pictures.project import Project
from tests.pictures.scenes import SCENES, review_checkpoints
from tests.pictures.terminal import NoTerminalError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "review.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`(antiphon [^`]*)`", PAGE)
COMMANDS = [line.partition("#")[0].strip() for block in BLOCKS for line in block.splitlines()] + INLINE


def test_every_command_of_the_page(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for name in ("better.txt", "mine.txt"):
        (project.root / name).write_text("    return round(price - price * percent / 100)\n")
    project.proposed()
    assert len(COMMANDS) > 15
    for written in COMMANDS:
        command = written
        project.antiphon("restore", "latest.0")
        if " undo " in command:
            (decided,) = project.antiphon("accept", "latest", "--all")
            command = re.sub(r"decision-\w+", str(decided["decisionId"]), command)
        done = subprocess.run(
            shlex.split(command),
            cwd=project.root,
            env=project.environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, (command, done)


def test_its_pictures_and_links_are_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links
    for link in links:
        assert (ROOT / "docs" / link).exists(), link
    for name in SCENES:
        assert (ROOT / "docs" / "images" / f"{name}.svg").exists(), f"make pictures NAME={name}"
    for image in (ROOT / "docs" / "images").iterdir():
        text = image.read_text("utf-8")
        assert ET.fromstring(text).tag.endswith("svg")
        assert "http" not in text.replace("http://www.w3.org/", ""), "a viewer would have to fetch something"


def test_a_picture_is_the_screen() -> None:
    drawn = svg("\x1b[31mred\nand on\x1b[0m plain\n\n\n", title="a title", columns=20, name="made")
    assert "a&#160;title" in drawn or "a title" in drawn
    assert drawn.count("made-r1") >= 3, "a style goes on over the end of a line"
    assert svg("same", title="t", columns=9, name="n") == svg("same", title="t", columns=9, name="n")


def test_a_picture_can_be_taken_anew(tmp_path: Path) -> None:
    try:
        picture = review_checkpoints(tmp_path)
    except NoTerminalError as missing:
        pytest.skip(str(missing))
    assert "restored" in picture.styled
