"""Thousands of lives of the engine under crashes, a full disk, adoption and a jumping clock."""

import subprocess
import sys

import pytest

from tests.simulation.plants import PLANTS, ROOT, Garden, Plant

SEEDS = 2_000
CPU_SECONDS_A_SEED = 0.15


def simulate(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_seed_breaks_a_promise() -> None:
    done = simulate("--seeds", f"0:{SEEDS}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds" in done.stdout


def test_a_seed_is_the_same_life_in_every_process() -> None:
    one, other = (simulate("--seeds", "0:100", "--journals", hash_seed=seed) for seed in ("1", "2"))
    journals = [line for line in one.stdout.splitlines() if line[:1].isdigit() and "seeds" not in line]
    assert len(journals) == 100
    assert journals == [
        line for line in other.stdout.splitlines() if line[:1].isdigit() and "seeds" not in line
    ]


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Garden:
    return Garden(tmp_path_factory.mktemp("garden"))


@pytest.mark.parametrize("plant", PLANTS, ids=[plant.name for plant in PLANTS])
def test_a_planted_bug_is_found(garden: Garden, plant: Plant) -> None:
    assert garden.search(plant, seeds=SEEDS) is not None
