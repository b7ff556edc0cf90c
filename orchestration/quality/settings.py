"""How the gates of a workspace are set. Values only: the layers they come from are the server's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySettings:
    """`test_command` replaces every detected runner; its exit code alone counts. A word `{tests}` in it
    becomes the test files concerned, one argument each. `setup_command` runs once in a fresh checkout
    before its tests. Both run in the root of the checkout. `interpreter` is the Python for the tests
    (a path, relative to the workspace or absolute, or a name on PATH); empty: looked for.

    `timeout_s` limits one run of a runner, `baseline_s` all runs on the base for one check.
    `ruff` names the program of that analyzer; empty: the workspace's environment, then PATH.
    `changed_lines_only` keeps analyzers' findings to the lines that the change touched.
    """

    test_command: tuple[str, ...] = ()
    setup_command: tuple[str, ...] = ()
    interpreter: str = ""
    timeout_s: float = 120.0
    baseline_s: float = 60.0
    analyzers: bool = True
    ruff: str = ""
    changed_lines_only: bool = True
