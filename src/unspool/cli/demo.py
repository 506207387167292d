"""`unspool demo`: the whole way on real data."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(name: str | None = None, /, *, output: Annotated[Path, Parameter(alias="-o")] = Path("out")) -> None:
    """Run a demonstration on real data; without a NAME, list them.

    ```
    unspool demo
    unspool demo names -o results
    ```

    Each learns with default options, prints how it does beside the simplest rivals, and writes a model and a picture.

    Args:
        name: which one.
        output: the folder for the model and the picture; it is made if it isn't there.
    """
    from unspool.demos import DEMOS, run

    if name is None:
        for known, line in DEMOS.items():
            print(f"{known:<9} {line}")
        return
    if name in DEMOS:
        from unspool.runtime.compilation_cache import keep_compiled

        keep_compiled()
        output.mkdir(parents=True, exist_ok=True)
    run(name, output)
