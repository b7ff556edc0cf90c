# ruff: noqa: ARG002, BLE001, N802, PTH100, PTH109, PTH113, PTH118, PTH122, PTH123 - old Pythons; names of unittest
"""Runs unittest files, with what each test does written as one JSON line, as it happens.

It runs inside the workspace's own Python, of any version from 3.7, in the project's folder, started by
`antiphon_start.py`. Targets are FILE[::CLASS[::METHOD]]. Each file is imported as the test runner of its
own would: by its dotted name when its folders are packages, else by its bare name from its own folder.
"""

from __future__ import annotations  # annotations are not evaluated by old Pythons

import importlib
import json
import os
import sys
import time
import traceback
import unittest
from typing import Any

_REPORT = os.environ.get("ANTIPHON_REPORT", "")
_LONGEST = 20000


def _write(**event: Any) -> None:
    if _REPORT:
        line = json.dumps(event) + "\n"
        with open(_REPORT, "a", encoding="utf-8", errors="replace") as report:
            report.write(line)


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return text[:half] + "\n[...]\n" + text[-half:]


class _Result(unittest.TestResult):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.buffer = True
        self.path = path
        self.began = 0.0
        self.faults: list[str] | None = []

    def node(self, test: Any) -> str:
        name = getattr(test, "_testMethodName", None)
        return type(test).__name__ + "::" + name if name else str(test)

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.began = time.monotonic()
        self.faults = []
        _write(event="start", path=self.path, node=self.node(test))

    def said(self) -> str:
        parts = []
        for name in ("stdout", "stderr"):
            stream = getattr(self, "_" + name + "_buffer", None)
            text = stream.getvalue() if stream is not None else ""
            if text:
                parts.append("--- Captured " + name + " ---\n" + text)
        return "\n".join(parts)

    def report(self, test: Any, outcome: str, text: str = "") -> None:
        if outcome == "failed":
            text = _shorten(text + "\n" + self.said())
        _write(
            event="result",
            path=self.path,
            node=self.node(test),
            phase="call",
            outcome=outcome,
            text=text,
            seconds=time.monotonic() - self.began,
        )

    def traceback(self, err: Any, test: Any) -> str:
        return str(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]  # unittest's own

    def note(self, text: str) -> None:
        self.faults = [*(self.faults or []), text]

    def fault(self, test: Any, err: Any) -> None:
        text = self.traceback(err, test)
        if hasattr(test, "_testMethodName") or hasattr(test, "test_case"):
            self.note(text)
        else:  # setUpClass, setUpModule
            _write(event="broken", path=self.path, node=str(test), text=_shorten(text))

    def addError(self, test: Any, err: Any) -> None:
        self.fault(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self.fault(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.note(str(subtest) + "\n" + self.traceback(err, test))

    def addSkip(self, test: Any, reason: str) -> None:
        self.report(test, "skipped", reason)
        self.faults = None

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        pass

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.note("unexpected success")

    def stopTest(self, test: Any) -> None:
        if self.faults:
            self.report(test, "failed", "\n".join(self.faults))
        elif self.faults is not None:
            self.report(test, "passed")
        super().stopTest(test)


def _import(path: str) -> Any:
    folder, name = os.path.split(path)
    dotted = [os.path.splitext(name)[0]]
    here = os.getcwd()
    while os.path.isfile(os.path.join(folder, "__init__.py")) and folder != here:
        folder, name = os.path.split(folder)
        dotted.insert(0, name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(".".join(dotted))


def _run(target: str) -> None:
    name, _, node = target.partition("::")
    path = os.path.abspath(name)
    _write(event="start", path=path, node="")
    try:
        module = _import(path)
    except unittest.SkipTest as skipped:
        _write(event="skipped_file", path=path, node="", text=str(skipped))
        return
    except BaseException:
        _write(event="broken", path=path, node="", text=_shorten(traceback.format_exc()))
        return
    loader = unittest.defaultTestLoader
    if node:
        suite = loader.loadTestsFromName(node.replace("::", "."), module)
    else:
        suite = loader.loadTestsFromModule(module)
    _write(event="collected", path=path, node="", count=suite.countTestCases())
    suite.run(_Result(path))


def main(targets: list[str]) -> None:
    for target in targets:
        _run(target)
    _write(event="outside", modules=importlib.import_module("antiphon_pytest").outside())
    _write(event="end", status=0)
