"""What a person waits for before anything happens: python benchmarks/cold.py.

Whole processes: `import unspool`, `unspool --help`, and the first and second `unspool generate` with an empty
compilation cache, against importing JAX alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import line, quick, report

import unspool as us

SCRIPT = str(Path(sys.executable).with_name("unspool"))


def seconds(*words: str, **environment: str) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - start


def main() -> None:
    """Measure."""
    turns = 1 if quick() else 5
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "words.unspool")
        table = {"kind": ["a", "b"] * 50, "word": ["abc", "cba"] * 50}
        options = {"network": us.Network(size=128), "training": us.Training(epochs=1), "verbose": False}
        us.OneToMany("kind", "word", **options).fit(table).save(model)  # type: ignore[arg-type]
        median = lambda *words: statistics.median(seconds(*words) for _ in range(turns))  # noqa: E731
        jax_alone = median(sys.executable, "-c", "import jax")
        generate = (SCRIPT, "generate", str(model), "-i", "kind=a", "--seed", "0")
        cold = [seconds(*generate, UNSPOOL_CACHE=str(Path(folder, f"cache{k}"))) for k in range(min(turns, 3))]
        warm = [seconds(*generate, UNSPOOL_CACHE=str(Path(folder, "cache0"))) for _ in range(turns)]
        jobs = {
            "import unspool": median(sys.executable, "-c", "import unspool"),
            "unspool --help": median(SCRIPT, "--help"),
            "unspool generate, first": statistics.median(cold),
            "unspool generate, again": statistics.median(warm),
        }
    report("cold", [line(f"{job}, importing JAX alone", t, jax_alone) for job, t in jobs.items()])


if __name__ == "__main__":
    main()
