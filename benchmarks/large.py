"""Memory and time of a fit to more steps than fit into memory: python benchmarks/large.py STEPS [FOLDER [CACHE]].

The script makes a folder of Parquet files with so many steps, about 20 to a sequence, unless it is there. Then a
process of its own, whose addresses may take at most 8 GB (`ulimit -v`), fits a model to it, and prints its figures:
"peak" is the most memory that was resident. JAX alone reserves 3 GB of addresses, most of which it never touches.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FILE_STEPS = 2_000_000
MEAN_LENGTH = 20
ADDRESS_LIMIT = 8_000_000_000
REGIONS = [f"region {number}" for number in range(8)]
KINDS = [f"kind {number}" for number in range(40)]
TRAINING_SECONDS = 30.0


def write_parts(folder: Path, steps: int, *, shuffled: bool = False) -> None:
    """Purchases of customers: a row has id, order, an input, and three columns of a step."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    rng, first, written, number = np.random.default_rng(0), 0, 0, 0
    while written < steps:
        count = min(FILE_STEPS, steps - written)
        lengths = rng.geometric(1 / MEAN_LENGTH, 2 * count // MEAN_LENGTH + 10)
        ends = np.minimum(np.cumsum(lengths), count)
        lengths = np.diff(ends[: np.searchsorted(ends, count) + 1], prepend=0)
        N, owner = len(lengths), np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(count) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        region = rng.choice(8, N)
        kind = np.minimum(rng.geometric(0.2, count) - 1 + region[owner], len(KINDS) - 1)
        table = pa.table(
            {
                "customer": first + owner,
                "number": place,
                "region": pa.DictionaryArray.from_arrays(region[owner], REGIONS).cast("string"),
                "kind": pa.DictionaryArray.from_arrays(kind, KINDS).cast("string"),
                "price": np.round(np.exp(rng.normal(1 + kind / 20, 0.7)), 2),
                "items": rng.poisson(1 + place % 5),
            }
        )
        if shuffled:
            table = table.take(rng.permutation(count))
        pq.write_table(table, folder / f"part-{number:05}.parquet", row_group_size=2**18)
        first, written, number = first + N, written + count, number + 1


def fit(folder: str, cache: str | None = None) -> None:
    """Fit a model, and print what it took."""
    import unspool as us
    from unspool.streaming.source import Source

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_LIMIT, ADDRESS_LIMIT))
    began = time.monotonic()
    sequence = [us.Category("kind"), "price", "items"]
    training = us.Training(seconds=TRAINING_SECONDS)
    model = us.OneToMany("region", sequence, network=us.Network(size=64), training=training, verbose=True)
    marks: dict[str, float] = {}
    for name, inner in (("_draw", Source._draw), ("encode", Source.encode)):

        def timed(self, *args, name=name, inner=inner, **options):  # type: ignore[no-untyped-def]
            start = time.monotonic()
            try:
                return inner(self, *args, **options)
            finally:
                marks[name] = marks.get(name, 0.0) + time.monotonic() - start
                print(name, f"{time.monotonic() - start:.1f} s", status(), file=sys.stderr, flush=True)

        setattr(Source, name, timed)
    model.fit(folder, id="customer", order="number", cache=cache)
    codec, summary = model.codec_, model.summary_
    figures = {
        "steps": codec.total,
        "sequences": codec.examples,
        "seconds": round(time.monotonic() - began),
        **{name.strip("_"): round(seconds) for name, seconds in marks.items()},
        "updates": summary.updates,
        "nats": round(summary.nats, 4),
        **status(),
    }
    print(json.dumps(figures), flush=True)


def status() -> dict[str, float]:
    """Peak and present memory of this process in GB; of the present, the part that is no mapped file."""
    names = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "anonymous", "VmPeak": "virtual", "VmData": "data"}
    with open("/proc/self/status") as file:
        lines = [text.replace(":", "").split() for text in file]
    return {names[line[0]]: round(int(line[1]) / 1e6, 2) for line in lines if line and line[0] in names}


def main() -> None:
    if sys.argv[1] == "fit":
        return fit(*sys.argv[2:])
    steps = int(sys.argv[1].replace("_", ""))
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else Path(tempfile.gettempdir()) / f"unspool-{steps}")
    if not folder.exists():
        write_parts(folder, steps)
    subprocess.run([sys.executable, __file__, "fit", str(folder), *sys.argv[3:]], check=True)
    return None


if __name__ == "__main__":
    main()
