"""The configured test command: it stands for every detected runner, and its exit code alone counts.

With `{tests}` among its words the files are its arguments, and each of them did what the command did.
Without, it is one case for everything there is.
"""

import os
from collections.abc import Sequence

from orchestration.quality.runners.contract import ANY, Batch, Bench, Ran, Target
from orchestration.quality.runners.report import whole_run
from orchestration.quality.tree_view import TreeView

WHOLE = Target("the test command")
_TESTS = "{tests}"


class CommandRunner:
    name = "command"
    suffixes = frozenset({ANY})

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command

    @property
    def takes_tests(self) -> bool:
        return any(_TESTS in word for word in self._command)

    def is_test(self, path: str, view: TreeView) -> bool:  # noqa: ARG002 - languages' runners know that
        return False

    def is_configuration(self, path: str) -> bool:  # noqa: ARG002 - its own is a setting
        return False

    def configuration(self, path: str, data: bytes) -> bytes:  # noqa: ARG002 - see above
        return data

    def batches(self, view: TreeView, targets: Sequence[Target]) -> list[Batch]:  # noqa: ARG002 - one for all
        return [Batch("", tuple(targets))]

    async def run(self, bench: Bench, batch: Batch) -> Ran:
        limit = bench.settings.timeout_s
        done = await bench.processes.run(
            self._arguments(batch.targets),
            cwd=bench.checkout,
            env={
                **bench.env,
                "PATH": await bench.executor.run(_path, bench),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(bench.temporary()),
            },
            timeout_s=limit,
            purpose="run the configured test command",
        )
        if done.exit_code in {126, 127} and not done.failure:
            return Ran(problem=f"the test command could not be run: {done.output.strip()[-200:]}")
        return whole_run(done, batch.targets, limit, "the test command")

    def _arguments(self, targets: Sequence[Target]) -> list[str]:
        names = [name for target in targets for name in target.ids]
        found: list[str] = []
        for word in self._command:
            found += names if word == _TESTS else [word.replace(_TESTS, " ".join(names))]
        return found


def _path(bench: Bench) -> str:
    """With the programs of the workspace's own environments first, as a person's shell would have them."""
    own = [
        str(base / place)
        for base in (bench.checkout, bench.root)
        for place in (".venv/bin", "venv/bin", "node_modules/.bin")
        if (base / place).is_dir()
    ]
    return os.pathsep.join([*own, bench.env.get("PATH", bench.processes.path)])
