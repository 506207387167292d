"""`unspool plot`: a picture of generated sequences, or of the training."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unspool.cli.arguments import typed_inputs
from unspool.cli.files import check_writable, open_model
from unspool.cli.flags import SAMPLING, SamplingFlags, options_from
from unspool.errors import OptionError
from unspool.options import Sampling
from unspool.runtime.atomic_files import suffix


def plot(
    model: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    input: Annotated[list[str] | None, Parameter(alias="-i")] = None,  # noqa: A002
    inputs_from: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    training: bool = False,
    n: Annotated[int, Parameter(name="-n")] = 100,
    length: int | None = None,
    seed: int = 0,
    sampling: Annotated[SamplingFlags, SAMPLING] = SamplingFlags(),  # noqa: B008
) -> None:
    """Plot generated sequences, or the training.

    ```
    unspool plot storms.unspool -i lat=14 -i long=-60 -n 200 -o fan.png
    unspool plot names.unspool -i country=Irish -i country=Greek -n 30 -o names.svg
    unspool plot names.unspool --training -o curve.pdf
    ```

    Numbers are shown as a fan of quantiles with a few single sequences, categories as shares, and text as text.

    Args:
        model: the model file.
        output: the picture to write: .png, .svg or .pdf.
        input: NAME=VALUE of an input; see `unspool generate --help`.
        inputs_from: a table of inputs, or - for standard input.
        training: plot the nats per step over the training instead.
        n: sequences for each row of inputs.
        length: exact number of steps; by default the network decides where a sequence ends.
        seed: seed of the samples.
        sampling: its options.
    """
    from unspool.plots.canvas import PICTURES, figure

    suffix(output, PICTURES)
    check_writable(output)
    figure(1, 1)  # refuses at once if matplotlib is missing
    if training:
        if input or inputs_from:
            raise OptionError("--training", "no inputs", "some", "Leave out one of the two.")
        from unspool.config import Config
        from unspool.modelfile import read_config
        from unspool.plots.training import plot_training

        plot_training(read_config(model, Config).summary, output)
        return
    rule = options_from(Sampling, sampling)
    loaded = open_model(model)
    table = typed_inputs(loaded.codec_, input, inputs_from)
    loaded.generate(table, n, length=length, seed=seed, rule=rule).plot(output)
