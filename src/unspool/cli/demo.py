"""`unspool demo`: fit, evaluate and generate on real data."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(name: str | None = None, /, *, output: Annotated[Path, Parameter(alias="-o")] = Path("out")) -> None:
    """Run a demonstration on real data, or list them.

    ```
    unspool demo
    unspool demo names -o results
    ```

    Each fits a model with default options (of names, for 50 seconds), prints its held-out nats beside those of
    baselines, and writes the model and a picture.

    Args:
        name: the demonstration; without it, the list of them.
        output: the folder for the model and the picture.
    """
    from unspool.demos.runner import DEMOS, run_demo

    if name is None:
        for known, line in DEMOS.items():
            print(f"{known:<9} {line}")
        return
    if name in DEMOS:
        output.mkdir(parents=True, exist_ok=True)
    run_demo(name, output)
