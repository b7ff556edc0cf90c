"""Which gates there are, in which order. What each one checks is in its own module.

A run's reviewing role is added where the run wants it (`orchestration/review_role.py`): it needs the run's
model and budget, which an engine's gates do not have.
"""

from orchestration.quality.analyzers import standard_analyzers
from orchestration.quality.difference import AnalysisGate
from orchestration.quality.gates import Gate
from orchestration.quality.runners import standard_runners
from orchestration.quality.settings import QualitySettings
from orchestration.quality.syntax import SyntaxGate
from orchestration.quality.tests_gate import TestsGate


def task_gates() -> tuple[Gate, ...]:
    """For a task's result: syntax, then tests; cheap first, so that a file that does not parse costs no test
    run.
    """
    return (SyntaxGate(), TestsGate(standard_runners()))


def final_gates(settings: QualitySettings) -> tuple[Gate, ...]:
    """For the final merged tree: the gates of tasks, then what analyzers find, which never blocks."""
    extra = (AnalysisGate(standard_analyzers()),) if settings.analyzers else ()
    return (*task_gates(), *extra)
