"""Which languages we can parse ourselves, and whether a file parses. Pure, no process, no file system.

A parser answers with the first fault or None. It may also find itself unable to judge (a file too
large or nested too deep, templates in YAML): that counts as no fault.
"""

import json
import re
import sys
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

LARGEST = 2_000_000
"""Bytes; larger files are data, and parsing them tells little about the change."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file does not parse. Line and column count from 0, columns in code points."""

    message: str
    line: int = 0
    column: int = 0


Parser = Callable[[bytes], Fault | None]


def parser_for(path: str) -> tuple[str, Parser] | None:
    """The language's name and its parser, by the file's name."""
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    if suffix == ".json" and _is_commented_json(path):
        return "JSON with comments", parse_commented_json
    return _PARSERS.get(suffix)


def parse_python(data: bytes) -> Fault | None:
    """With the grammar of the Python we run on; its version is part of the message. Not to be called by two
    threads at once: what the compiler warns of is silenced, and that is the process's.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, "<file>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = max((error.lineno or 1) - 1, 0)
        column = max((error.offset or 1) - 1, 0)
        return Fault(f"{error.msg} (Python {sys.version_info[0]}.{sys.version_info[1]})", line, column)
    except ValueError as error:  # null bytes, before Python 3.12
        return Fault(f"{error} (Python {sys.version_info[0]}.{sys.version_info[1]})")
    except (RecursionError, MemoryError, OverflowError):
        return None
    return None


def parse_json(data: bytes) -> Fault | None:
    text = _text(data)
    return text if isinstance(text, Fault) else _json_fault(text)


def parse_commented_json(data: bytes) -> Fault | None:
    """Comments and a comma before a closing bracket are allowed (tsconfig.json, .vscode/*.json)."""
    text = _text(data)
    return text if isinstance(text, Fault) else _json_fault(_without_comments(text))


def _json_fault(text: str) -> Fault | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return Fault(error.msg, error.lineno - 1, error.colno - 1)
    except RecursionError:
        return None
    return None


def parse_toml(data: bytes) -> Fault | None:
    text = _text(data)
    if isinstance(text, Fault):
        return text
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(place[1]) - 1, int(place[2]) - 1) if place else (0, 0)
        return Fault(str(error).split(" (at ")[0], line, column)
    except RecursionError:
        return None
    return None


def parse_yaml(data: bytes) -> Fault | None:
    import yaml  # late: 12 ms, and most changes touch no YAML

    if b"{{" in data or b"{%" in data:
        return None  # a template: YAML only once it is rendered
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.parse(data, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "not YAML"
        return Fault(message, mark.line, mark.column) if mark else Fault(message)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        return Fault(str(error).splitlines()[0])
    except RecursionError:
        return None
    return None


def parse_xml(data: bytes) -> Fault | None:
    from xml.parsers import expat  # late: rarely needed

    parser = expat.ParserCreate()
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        # Lines from 1, columns from 0, in expat's own interface.
        return Fault(
            expat.ErrorString(error.code) or "not XML", max(error.lineno - 1, 0), max(error.offset, 0)
        )
    except (ValueError, LookupError):  # an encoding that expat does not know
        return None
    return None


def _text(data: bytes) -> str | Fault:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start)
        return Fault("not UTF-8", line)


_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(r'"(?:\\.|[^"\\\n])*"|,(?=\s*[}\]])')


def _without_comments(text: str) -> str:
    """Comments and last commas become blanks, so that places stay what they were."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return _STRING_OR_LAST_COMMA.sub(blank, _STRING_OR_COMMENT.sub(blank, text))


_COMMENTED = re.compile(
    r"(^|/)(\.vscode|\.devcontainer)/[^/]+\.json$|(^|/)(ts|js)config(\.[^/]*)?\.json$"
    r"|(^|/)(devcontainer|deno|api-extractor|\.eslintrc|\.swcrc|\.babelrc|typedoc|turbo|nx|biome)\.json$",
    re.IGNORECASE,
)


def _is_commented_json(path: str) -> bool:
    return _COMMENTED.search(path) is not None


_PARSERS: dict[str, tuple[str, Parser]] = {
    ".py": ("Python", parse_python),
    ".pyi": ("Python", parse_python),
    ".pyw": ("Python", parse_python),
    ".json": ("JSON", parse_json),
    ".jsonc": ("JSON with comments", parse_commented_json),
    ".code-workspace": ("JSON with comments", parse_commented_json),
    ".toml": ("TOML", parse_toml),
    ".yaml": ("YAML", parse_yaml),
    ".yml": ("YAML", parse_yaml),
    ".xml": ("XML", parse_xml),
    ".svg": ("XML", parse_xml),
    ".xsd": ("XML", parse_xml),
    ".csproj": ("XML", parse_xml),
}
