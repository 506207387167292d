"""`unspool evaluate`: how good a model is, beside the simplest things that could work."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unspool.cli.streams import source, writable
from unspool.errors import OptionError
from unspool.runtime.atomic_files import suffix


def evaluate(
    model: Path,
    data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    steps: str | None = None,
    train: str | None = None,
    train_steps: str | None = None,
    html: Path | None = None,
    json: Path | None = None,
    n: Annotated[int, Parameter(name="-n")] = 50,
    seed: int = 0,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Judge a model on data that it has not seen, beside baselines.

    ```
    unspool evaluate names.unspool test.csv --train train.csv --html report.html
    unspool evaluate storms.unspool new.parquet --json report.json -q
    ```

    The report goes to standard output as text. Baselines learn from --train; without it, from a part of DATA, and the
    rest is judged. The same command gives the same report, to the byte. `docs/report.md` explains every line.

    Args:
        model: the model file.
        data: the table to judge it on, in the layout of the training data, or - for standard input.
        steps: the table of steps, when DATA has the inputs.
        train: the table that baselines learn from: the training data.
        train_steps: its table of steps.
        html: write the report there as one page with pictures.
        json: write it there as JSON.
        n: generated sequences for each held-out input.
        seed: of all that is random.
        quiet: print nothing but errors.
    """
    for path, end in ((html, ".html"), (json, ".json")):
        if path is not None:
            suffix(path, (end,))
            writable(path)
    if train_steps is not None and train is None:
        raise OptionError("--train-steps", "--train, the inputs that its steps belong to", "none")
    from unspool.cli.generate import opened

    known = None if train is None else source(train) if train_steps is None else (source(train), source(train_steps))
    loaded = opened(model)
    judged = source(data), source(steps) if steps else None
    report = loaded.evaluate(*judged, train=known, seed=seed, samples=n)
    for path in (html, json):
        if path is not None:
            report.save(path)
    if not quiet:
        sys.stdout.write(str(report))
