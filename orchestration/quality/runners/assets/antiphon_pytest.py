# ruff: noqa: PTH118 - old Pythons: os.path is simplest
"""A pytest plugin that writes what each test does, one JSON line each, as it happens.

It runs inside the workspace's own Python, of any version from 3.7, with any pytest from 6. It is copied
beside the report before each run and is imported from there; it imports nothing of ours.
"""

from __future__ import annotations  # annotations are not evaluated by old Pythons

import json
import os
import sys
from typing import Any

_REPORT = os.environ.get("ANTIPHON_REPORT", "")
_LONGEST = 20000


def _write(**event: Any) -> None:
    if _REPORT:
        line = (json.dumps(event) + "\n").encode("utf-8", "replace")
        report = os.open(_REPORT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(report, line)  # one write: workers of pytest-xdist append to the same file
        finally:
            os.close(report)


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return text[:half] + "\n[...]\n" + text[-half:]


def _text(report: Any) -> str:
    parts = [str(getattr(report, "longreprtext", "") or report.longrepr or "")]
    for name, content in getattr(report, "sections", []):
        parts.append("--- " + name + " ---\n" + content)
    return _shorten("\n".join(parts))


class _Reporter:
    def __init__(self, config: Any) -> None:
        self.config = config
        self.root = str(getattr(config, "rootpath", None) or config.rootdir)
        self.worker = hasattr(config, "workerinput")

    def place(self, nodeid: str) -> tuple[str, str]:
        path, _, rest = nodeid.partition("::")
        return os.path.normpath(os.path.join(self.root, path)), rest

    def write(self, nodeid: str, **event: Any) -> None:
        if not self.worker:
            path, rest = self.place(nodeid)
            _write(path=path, node=rest, **event)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write(nodeid, event="start")

    def pytest_runtest_logreport(self, report: Any) -> None:
        outcome = report.outcome
        if outcome == "skipped" and hasattr(report, "wasxfail"):
            outcome = "passed"
        text = "" if outcome == "passed" else _text(report)
        self.write(
            report.nodeid,
            event="result",
            phase=report.when,
            outcome=outcome,
            text=text,
            seconds=getattr(report, "duration", 0.0),
        )

    def pytest_collectstart(self, collector: Any) -> None:
        if collector.nodeid.endswith(".py"):
            self.write(collector.nodeid, event="start")

    def pytest_collectreport(self, report: Any) -> None:
        if report.nodeid.endswith(".py"):
            self.write(report.nodeid, event="loaded")
        if report.outcome == "failed":
            self.write(report.nodeid, event="broken", text=_text(report))
        elif report.outcome == "skipped":
            self.write(report.nodeid, event="skipped_file", text=_text(report))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        _write(event="outside", modules=outside())
        if not self.worker:
            _write(event="end", status=int(exitstatus))


def outside() -> list[list[str]]:
    """Modules that were loaded from the user's workspace instead of the checkout."""
    root = os.environ.get("ANTIPHON_ROOT", "")
    inside = os.environ.get("ANTIPHON_CHECKOUT", "")
    found: list[list[str]] = []
    if not root or not inside:
        return found
    own = [
        os.path.realpath(place) + os.sep for place in (inside, sys.prefix, sys.base_prefix, sys.exec_prefix)
    ]
    for name, module in sorted(sys.modules.items()):
        place = getattr(module, "__file__", None)
        if not isinstance(place, str):
            continue
        place = os.path.realpath(place)
        if not place.startswith(root + os.sep) or any(place.startswith(start) for start in own):
            continue
        if "site-packages" in place or "dist-packages" in place:
            continue
        found.append([name, place])
    return found[:20]


def pytest_configure(config: Any) -> None:
    config.pluginmanager.register(_Reporter(config), "antiphon-reporter")
