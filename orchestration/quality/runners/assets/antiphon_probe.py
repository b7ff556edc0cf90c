# ruff: noqa: BLE001, PTH100, PTH109, PTH120, S112 - old Pythons: os.path is simplest
"""Says what a Python is like, as one line of JSON: its version, whether it has pytest, and which places
on its path and which of the given modules lie in the user's workspace. Run in the project's folder.

    python antiphon_probe.py MODULE ...
"""

from __future__ import annotations  # annotations are not evaluated by old Pythons

import importlib.util
import json
import os
import sys
from typing import Any


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [os.getcwd()] + [place for place in sys.path if os.path.abspath(place or ".") != here]
    found: dict[str, Any] = {
        "version": ".".join(map(str, sys.version_info[:3])),
        "prefix": sys.prefix,
        "pytest": importlib.util.find_spec("pytest") is not None,
        "path": [os.path.realpath(place) for place in sys.path if place],
        "modules": {},
    }
    for name in sys.argv[1:]:
        try:
            spec = importlib.util.find_spec(name)
        except Exception:
            continue
        if spec is None:
            continue
        places = (
            [spec.origin]
            if spec.has_location and spec.origin
            else list(spec.submodule_search_locations or [])
        )
        found["modules"][name] = [os.path.realpath(place) for place in places]
    sys.stdout.write("antiphon-probe " + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
