"""`unspool evaluate`: a report on a model beside baselines."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from unspool.cli.files import check_writable, open_model, source, wide_table
from unspool.errors import OptionError
from unspool.runtime.atomic_files import suffix


def evaluate(
    model: Path,
    data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    steps: str | None = None,
    train: str | None = None,
    train_steps: str | None = None,
    wide: str | None = None,
    html: Path | None = None,
    json: bool = False,
    n: Annotated[int, Parameter(name="-n")] = 50,
    seed: int = 0,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Evaluate a model on data that it has not seen, beside baselines.

    ```
    unspool evaluate names.unspool test.csv --train train.csv --html report.html
    unspool evaluate storms.unspool new.parquet --json | jq .sections[].verdict
    ```

    The report goes to standard output, as text or with --json as a JSON object. Baselines learn from --train. Without
    it they learn from a part of DATA, and the report covers the rest. The same command gives the same report, to the
    byte. `docs/report.md` explains every line.

    Args:
        model: the model file.
        data: the table of held-out sequences, in the layout of the training data, or - for standard input.
        steps: the table of steps, where DATA holds the inputs.
        train: the training data, which baselines learn from.
        train_steps: the table of steps, where the training data holds the inputs.
        wide: where each step is a column, those columns in their order, or a pattern such as "day*".
        html: a file for the report as one page with pictures.
        json: print the report as a JSON object.
        n: generated sequences for each held-out input.
        seed: seed of the evaluation.
        quiet: print nothing but errors.
    """
    if html is not None:
        suffix(html, (".html",))
        check_writable(html)
    training_data: Any = source(train) if train else None
    if train_steps is not None:
        if train is None:
            raise OptionError("--train-steps", "--train, the inputs that its steps belong to", "none")
        training_data = training_data, source(train_steps)
    loaded, test_data = open_model(model, quiet=quiet), source(data)
    if wide is not None:
        name = loaded.schema_.sequence
        test_data = wide_table(test_data, wide, name)
        training_data = wide_table(training_data, wide, name) if train and not train_steps else training_data
    report = loaded.evaluate(test_data, source(steps) if steps else None, train=training_data, seed=seed, samples=n)
    if html is not None:
        report.save(html)
    if json:
        print(report.to_json())
    elif not quiet:
        sys.stdout.write(str(report))
