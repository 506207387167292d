"""`unspool export`: a model as an ONNX file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unspool.cli.files import check_writable, open_model
from unspool.cli.flags import SAMPLING, SamplingFlags, options_from
from unspool.options import Sampling
from unspool.runtime.atomic_files import suffix


def export(
    model: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    length: int | None = None,
    step: bool = False,
    sampling: Annotated[SamplingFlags, SAMPLING] = SamplingFlags(),  # noqa: B008
) -> None:
    """Write the model as an ONNX file, which generates the same sequences without Unspool.

    ```
    unspool export names.unspool -o names.onnx
    unspool export names.unspool -o greedy.onnx --greedy
    unspool export names.unspool -o step.onnx --step
    ```

    The file holds the whole generation, or with --step one step of it, for a program that streams. Its metadata says
    how to encode inputs and to decode sequences. Needs the package onnx: pip install 'unspool[onnx]'.

    Args:
        model: the model file.
        output: the file to write, .onnx.
        length: exact number of steps; by default the network decides where a sequence ends.
        step: write one step alone, from state to state.
        sampling: its options.
    """
    suffix(output, [".onnx"])
    check_writable(output)
    open_model(model).export(output, rule=options_from(Sampling, sampling), length=length, step=step)
