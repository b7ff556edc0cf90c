# ruff: noqa: BLE001, PTH100, PTH109, PTH118, PTH119, PTH120, PTH123, PTH206 - old Pythons: os.path is simplest
"""Finds out what a Python is like and runs tests with it, in one process: pytest where it has it, else
unittest.

    python antiphon_start.py PLAN.json

It runs in the project's folder. Imports that lead into the user's workspace instead of the checkout (an
editable install does that) are turned to the checkout; where that cannot be done nothing is run. The plan
holds `modules` (names to look at), `targets`, `options` for pytest, and `sources` (folders of packages, for
a project that is not installed).
"""

from __future__ import annotations  # annotations are not evaluated by old Pythons

import importlib
import importlib.util
import json
import os
import re
import runpy
import sys
from typing import Any

_ROOT = os.environ.get("ANTIPHON_ROOT", "")
_CHECKOUT = os.environ.get("ANTIPHON_CHECKOUT", "")
_INSTALLED = re.compile(r"(site|dist)-packages|python3(\.\d+)?t?")


def _write(**event: Any) -> None:
    with open(os.environ["ANTIPHON_REPORT"], "a", encoding="utf-8") as report:
        report.write(json.dumps(event) + "\n")


def _has(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False


def _stray(place: str) -> str | None:
    """The path from the root, for what lies in the workspace and is the workspace's own code."""
    place = os.path.realpath(place)
    if place == _CHECKOUT or place.startswith(_CHECKOUT + os.sep):
        return None
    if place != _ROOT and not place.startswith(_ROOT + os.sep):
        return None
    if any(_INSTALLED.fullmatch(part) for part in place.split(os.sep)):
        return None
    return os.path.relpath(place, _ROOT)


def _places(name: str) -> list[str]:
    """Where a module would be imported from."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        return []
    if spec is None:
        return []
    if spec.has_location and spec.origin:
        return [spec.origin]
    return list(spec.submodule_search_locations or [])


def _strays(modules: list[str]) -> tuple[list[str], list[str]]:
    """The twins in the checkout of places that lead into the workspace, and the modules that do."""
    here = os.path.dirname(os.path.abspath(__file__))
    twins, names = [], []
    for place in sys.path:
        if place and os.path.abspath(place) != here:
            relative = _stray(place)
            if relative is not None:
                twins.append(os.path.normpath(os.path.join(_CHECKOUT, relative)))
    for name in modules:
        for place in _places(name):
            relative = _stray(place)
            if relative is None:
                continue
            names.append(name)
            parent = os.path.dirname(relative)
            if os.path.basename(relative).startswith("__init__."):
                parent = os.path.dirname(parent)
            twins.append(os.path.normpath(os.path.join(_CHECKOUT, parent)))
    return list(dict.fromkeys(twins)), names


def _turn(twins: list[str]) -> None:
    """Puts places at the head of the path, here and for processes that tests start."""
    sys.path[1:1] = twins
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([*twins, *(place for place in given if place)])
    importlib.invalidate_caches()


def _add_sources(places: list[str]) -> None:
    """Last on the path, and only where a package in them is found nowhere else."""
    lacking = []
    for place in places:
        names = [entry.name.partition(".")[0] for entry in os.scandir(place)]
        if any(name.isidentifier() and not _has(name) for name in names):
            lacking.append(place)
    if lacking:
        sys.path.extend(lacking)
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join([*(place for place in given if place), *lacking])
        importlib.invalidate_caches()


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as plan:
        wanted = json.load(plan)
    sys.path[0] = os.getcwd()
    has_pytest = _has("pytest")
    version = ".".join(map(str, sys.version_info[:3]))
    _write(event="begin", version=version, executable=sys.executable, pytest=has_pytest)
    twins, _ = _strays(wanted["modules"])
    if twins:
        _turn(twins)
        _, names = _strays(wanted["modules"])
        if names:
            _write(event="stray", module=names[0])
            return
    _add_sources(wanted["sources"])
    if has_pytest:
        sys.argv[:] = ["pytest", *wanted["options"], *wanted["targets"]]
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    else:
        importlib.import_module("antiphon_unittest").main(wanted["targets"])


if __name__ == "__main__":
    main()
