"""All benchmarks, one after another, each in a process of its own: `python -m benchmarks [names] [--quick] [--write]`.

`--write` keeps the figures in `docs/benchmarks.json` and makes `docs/benchmarks.md` and its pictures of them; a
benchmark that is not run keeps the figures that it had. On two cores all take about 30 minutes.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.record import TITLES, keep, write


def script(name: str) -> Path:
    """The program of a benchmark."""
    return Path(__file__).with_name(f"{name}.py")


ALL = tuple(name for name in TITLES if script(name).exists())


def run(name: str, *flags: str) -> dict[str, Any]:
    """Run a benchmark, show what it prints, and read its last line."""
    print(f"== {name}", flush=True)
    words = [sys.executable, str(script(name)), *flags]
    last = ""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        for last in process.stdout or ():
            print(last, end="", flush=True)
    if process.returncode:
        raise SystemExit(f"benchmark {name} failed")
    return json.loads(last)


def main() -> None:
    """Run, and perhaps write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ALL))
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round, to see that it works")
    parser.add_argument("--write", action="store_true", help="keep the figures, and make docs/benchmarks.md of them")
    asked = parser.parse_args()
    if asked.quick and asked.write:
        parser.error("quick figures are no figures to write down")
    for name in set(asked.names) - set(ALL):
        parser.error(f"{name}: not one of {', '.join(ALL)}")
    for name in asked.names or ALL:
        result = run(name, *(["--quick"] if asked.quick else []))
        if asked.write:
            keep({**result, "date": dt.datetime.now(dt.UTC).date().isoformat()})
    if asked.write:
        write()


if __name__ == "__main__":
    main()
