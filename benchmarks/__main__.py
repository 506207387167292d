"""All benchmarks, one after another, each in a process of its own: `python -m benchmarks [names]`."""

import subprocess
import sys
from pathlib import Path

ALL = ("train", "generate", "cold")

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
