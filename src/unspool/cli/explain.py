"""`unspool explain`: a page that shows how a model turns an input into a sequence."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unspool.cli.arguments import typed_inputs
from unspool.cli.files import check_writable, open_model
from unspool.errors import OptionError
from unspool.runtime.atomic_files import suffix


def explain(
    model: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    input: Annotated[list[str] | None, Parameter(alias="-i")] = None,  # noqa: A002
    half: bool = False,
) -> None:
    """Write a page that shows how the model turns an input into a sequence, step by step.

    ```
    unspool explain names.unspool -o names.html
    unspool explain names.unspool -i country=Irish -o irish.html
    ```

    The page is one HTML file with the weights in it. It computes in the browser what `unspool generate` computes, and
    asks nothing of any server: open it from disk, or put it anywhere.

    Args:
        model: the model file.
        output: the page to write, .html.
        input: NAME=VALUE of an input to begin with; a reader of the page can change it. Repeat it for more.
        half: write the weights as float16, half as large, if the symbols of 32 sequences stay the same.
    """
    from unspool.tables.columns import to_list

    suffix(output, [".html"])
    check_writable(output)
    loaded = open_model(model)
    inputs = None
    if input:
        table = typed_inputs(loaded.codec_, input, None)
        if len(table) > 1:
            raise OptionError("--input", "one value of each input", f"{len(table)} rows")
        inputs = {name: to_list(column)[0] for name, column in table.columns.items()}
    page = loaded.explain(output, inputs, half)
    if half and not page.half:
        print("weights of float32: rounded to float16, they change a symbol of the first 32 sequences")
