"""A fit to more steps than are read into memory, in a process of its own whose addresses are limited."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "large.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_three_million_steps_of_six_columns_are_fitted_in_three_gigabytes(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARK, "3_000_000", tmp_path / "parts"], capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    assert figures["steps"] == 3_000_000
    assert figures["updates"] > 0
    assert figures["peak"] < 3.0  # GB
    assert "larger than memory" in done.stderr
