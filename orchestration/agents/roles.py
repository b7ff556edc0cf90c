"""Roles and prompts: Markdown files of this package, pinned to a run as blobs.

A role file begins with front matter (`name`, `description`, `tools`, optional `model`); the rest is the
system text. Packaged files are checked against `manifest.json` (SHA-256) when read, so that a changed
installation is noticed before a model sees it. A run that resumes reads its pinned copies instead.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestration.errors import ConfigurationError

_HERE = Path(__file__).parent
PLANNER_ROLE = "lead"


@dataclass(frozen=True, slots=True)
class Role:
    """`text` is the system text, `source` the whole file, `model` a preference or empty."""

    name: str
    description: str
    tools: tuple[str, ...]
    text: str
    source: str
    model: str = ""


def parse_role(source: str, where: str) -> Role:
    """Raises ConfigurationError naming `where` when the front matter is not usable."""
    head, mark, text = source.removeprefix("---\n").partition("\n---\n")
    if not source.startswith("---\n") or not mark:
        raise ConfigurationError(f"{where}: a role file begins with front matter between two lines of '---'")
    fields: dict[str, str] = {}
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            raise ConfigurationError(f"{where}: {line!r} in the front matter is not 'key: value'")
        fields[key.strip()] = value.strip()
    unknown = fields.keys() - {"name", "description", "tools", "model"}
    if unknown or not fields.get("name"):
        wrong = ", ".join(sorted(unknown)) or "no name"
        raise ConfigurationError(
            f"{where}: front matter has {wrong}; known are name, description, tools, model"
        )
    tools = tuple(name.strip() for name in fields.get("tools", "").strip("[]").split(",") if name.strip())
    return Role(
        fields["name"],
        fields.get("description", ""),
        tools,
        text.strip() + "\n",
        source,
        fields.get("model", ""),
    )


def packaged_roles() -> dict[str, Role]:
    """The roles that ship with Antiphon, by name. Raises ConfigurationError when a file was changed."""
    return dict(_parsed(_HERE))


@cache
def _parsed(folder: Path) -> dict[str, Role]:
    names = sorted(path.name for path in (folder / "roles").glob("*.md"))
    roles = [parse_role(_verified(f"roles/{name}"), name) for name in names]
    return {role.name: role for role in roles}


def pinned_roles(sources: Mapping[str, bytes]) -> dict[str, Role]:
    """The roles of a run from its blobs."""
    return {name: parse_role(source.decode(), f"role {name} of the run") for name, source in sources.items()}


def packaged_prompts() -> dict[str, str]:
    """The prompts that ship with Antiphon, by name, with their fields open. Raises ConfigurationError when a
    file was changed.
    """
    return dict(_prompts(_HERE))


@cache
def _prompts(folder: Path) -> dict[str, str]:
    names = sorted(path.stem for path in (folder / "prompts").glob("*.md"))
    return {name: _verified(f"prompts/{name}.md") for name in names}


def filled(text: str, /, **values: object) -> str:
    """A prompt with its `{name}` fields filled in. Text of a user or a file is never a template."""
    return re.sub(r"\{(\w+)\}", lambda field: str(values.get(field[1], field[0])), text)


def manifest() -> dict[str, str]:
    """SHA-256 of every packaged role and prompt, as they are on disk now; `manifest.json` is this, written."""
    files = sorted([*(_HERE / "roles").glob("*.md"), *(_HERE / "prompts").glob("*.md")])
    return {
        path.relative_to(_HERE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


_cache: dict[str, str] = {}


def _verified(name: str) -> str:
    if name not in _cache:
        body = (_HERE / name).read_bytes()
        known = json.loads((_HERE / "manifest.json").read_bytes()).get(name)
        if hashlib.sha256(body).hexdigest() != known:
            raise ConfigurationError(
                f"the packaged file {name} is not the one that was released; install Antiphon anew"
            )
        _cache[name] = body.decode()
    return _cache[name]
