"""The small project of the pictures, and a model that answers from a file."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.command_line import PROGRAM
from tests.e2e.neovim.configuration import documented_lua

PRICES = '''\
"""Prices of the shop, in cents."""


def total(prices: list[int]) -> int:
    result = 0
    for price in prices:
        result = result + price
    return result


def reduced(price: int, percent: int) -> int:
    return int(price - price * percent / 100)


def shown(price: int) -> str:
    return str(price / 100) + " EUR"
'''
EDITS = [
    {
        "search": "    result = 0\n    for price in prices:\n        result = result + price\n    return result\n",
        "replace": "    return sum(prices)\n",
    },
    {
        "search": "    return int(price - price * percent / 100)\n",
        "replace": "    if not 0 <= percent <= 100:\n"
        '        raise ValueError(f"{percent} % is no discount")\n'
        "    return price - price * percent // 100\n",
    },
    {
        "search": '    return str(price / 100) + " EUR"\n',
        "replace": '    euros, cents = divmod(price, 100)\n    return f"{euros}.{cents:02} EUR"\n',
    },
]
PLAN = [
    {"id": "prices", "title": "Mend the prices", "instructions": "Cents must not get lost.", "role": "coder"},
    {"id": "notes", "title": "Write down what changed", "instructions": "Into CHANGES.md.", "role": "writer"},
]
NOTES = "# Changes\n\n- Prices are computed in whole cents.\n"


class Project:
    """`folder` holds the workspace `shop`, a home, and the model's answers."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "shop"
        self.root.mkdir()
        (self.root / "prices.py").write_text(PRICES)
        self.home = folder / "home"
        (self.home / "bin").mkdir(parents=True)
        (self.home / "init.lua").write_text(documented_lua())
        self._scripts = folder / "scripts"
        self._scripts.mkdir()
        self._plan = folder / "plan.json"
        self._plan.write_text(json.dumps({"goal": "Count in whole cents", "tasks": PLAN}))
        (self._scripts / "shop.yaml").write_text(
            json.dumps(
                [
                    _answer("prices", "edit_file", path="prices.py", edits=EDITS),
                    _answer("notes", "write_file", path="CHANGES.md", content=NOTES),
                ]
            )
        )

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join((str(PROGRAM.parent), os.environ["PATH"])),
            "ANTIPHON_MODEL": "scripted/shop",
            "ANTIPHON_PROVIDERS_SCRIPTED_SCRIPTS": str(self._scripts),
            "ANTIPHON_APPROVAL": "never",
        }

    def antiphon(self, *words: str) -> list[dict[str, Any]]:
        """Runs a command beside the picture; its JSON lines."""
        done = subprocess.run(
            [str(PROGRAM), *words, "--json"],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 1}, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def proposed(self) -> None:
        """A finished run whose hunks are open."""
        self.antiphon("run", "--plan-file", str(self._plan))

    def hunks(self) -> list[str]:
        """The beginnings of the hunks' ids, in the order of their places in `prices.py`."""
        (view,) = self.antiphon("changes", "latest")
        return [
            hunk["hunkId"][:6]
            for file in view["files"]
            if file["path"] == "prices.py"
            for hunk in file["hunks"]
        ]

    def replace(self, old: str, new: str) -> None:
        """What the user types, saved."""
        file = self.root / "prices.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def _answer(task: str, tool: str, **arguments: object) -> dict[str, Any]:
    calls = [
        {"name": tool, "arguments": arguments},
        {"name": "finish", "arguments": {"summary": f"{task} is done"}},
    ]
    return {"match": {"task": task}, "answer": {"tool_calls": calls}}
