"""A model as an ONNX file: the program, and what a reader needs to encode inputs and to decode sequences."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from unspool.dataset.examples import base_inputs
from unspool.encoding.codec import Codec
from unspool.errors import MissingExtra, OptionError
from unspool.generation.sampler import SampleRequest
from unspool.generation.support import EVERYWHERE, with_support
from unspool.network.decoder import Net
from unspool.runtime.atomic_files import atomic, suffix

FORMAT = 1
"""Of the metadata."""
MAX_BYTES = 2**31 - 2**20
"""Bytes that an ONNX file may have, less a reserve for what is not weights."""


def export_onnx(path: str | os.PathLike[str], codec: Codec, net: Net, request: SampleRequest, *, step: bool) -> None:
    """Write a generation, or one step of it, to an ONNX file, whole or not at all; `docs/format.md` describes it.

    Args:
        path: the file, .onnx.
        codec: the fitted columns.
        net: the network.
        request: what is generated; inputs and supports are added here.
        step: the step alone, for a program that streams.

    Raises:
        MissingExtra: the package onnx is not installed.
        OptionError: another ending than .onnx; a model that is too large; an operation that ONNX lacks.
        FileError: the file can't be written.
    """
    suffix(path, [".onnx"])
    try:
        import onnx  # noqa: F401  # the modules below need it
    except ImportError:
        raise MissingExtra("export", "the package onnx", "none", "pip install 'unspool[onnx]'") from None
    from unspool.export.program import ExportedProgram

    request = with_support(request, codec, {}, 1)
    inputs = [] if codec.schema.is_unconditional else [field.name for field, _ in codec.input_columns()]
    bases = base_inputs(codec.schema)
    steps, own = _unique([field.name for field, _ in codec.step_columns()]), []
    for (field, _), origins in zip(codec.step_columns(), request.origins, strict=True):
        own.append(origins is not None and origins.seen is None and field.name in bases)  # a part has no sum
    program = ExportedProgram(net, request, inputs, steps, own)
    graph = program.step() if step else program.generation()
    if graph.size > MAX_BYTES:
        hint = "Fit a smaller network: Network(size=...)."
        expected = f"weights and tables of at most {MAX_BYTES:,} bytes, the limit of the format"
        raise OptionError("export", expected, f"{graph.size:,}", hint)
    facts = {
        "format": FORMAT,
        "program": "step" if step else "generation",
        "inputs": [f"input.{name}" for name in inputs],
        "steps": [f"step.{name}" for name in steps],
        "starts": _starts(request, codec, steps, own, bases),
        "state": program.state,
        "uniforms": net.shape.num_uniforms,
        "stops": program.stopping,
        "max_steps": request.max_steps,
        "codec": msgspec.to_builtins(codec),
    }
    data = graph.model(facts["program"], {"unspool": json.dumps(facts, ensure_ascii=False)}).SerializeToString()
    with atomic(path) as file:
        file.write(data)


def _unique(names: list[str]) -> list[str]:
    """Names of tensors: the parts of first moments have that of their field, and a number."""
    found: list[str] = []
    for name in names:
        number = 0
        while (unique := f"{name}#{number}" if number else name) in found:
            number += 1
        found.append(unique)
    return found


def _starts(
    request: SampleRequest, codec: Codec, steps: list[str], own: list[bool], bases: Mapping[str, str]
) -> list[Any]:
    """How a reader computes the inputs `start.NAME`, `low.NAME` and `high.NAME` from the value before step 0.

    With y that value on the axis that adds up, or `origin` where there is none: start is 0 with a value and `without`
    otherwise, and the ends are (end - y) / unit, the upper one no more than `most` where there is one. With a value
    they are no nearer than -`down` / unit and `up` / unit, but not beyond `floor` and `ceiling`.
    """
    found = []
    # What a sum doesn't rise beyond counts from y, whatever that is: the ends alone are values.
    supports = with_support(request, codec.with_rises(math.inf), {}, 1).supports
    bounds = with_support(request, codec.without_ends(), {}, 1).supports
    columns = zip(steps, codec.step_columns(), request.origins, supports, bounds, own, strict=True)
    for name, (field, column), origins, support, bound, mine in columns:
        if not mine:
            continue
        assert origins is not None  # noqa: S101  # it has a start
        at, unit = float(origins.at[0]), float(origins.unit)
        facts = {
            "step": name,
            "input": bases.get(field.name),
            "origin": at,
            "unit": unit,
            "without": _number(origins.start[0]),
        }
        most = math.inf if column.cumulative is None else column.cumulative.most
        if math.isfinite(most):
            facts["most"], support = most, support or EVERYWHERE
        if support is not None and support.symbols is None:
            low, high = (_number(at + unit * float(np.asarray(end)[0])) for end in (support.low, support.high))
            facts |= {"low": low, "high": high}
            down, up = (0.0, 0.0) if column.cumulative is None else column.cumulative.excursions
            if down or up:
                facts |= {"down": down, "up": up}
                limits = zip(("floor", "ceiling"), (bound or EVERYWHERE)[:2], strict=True)
                facts |= {limit: at + unit * float(end[0]) for limit, end in limits if np.isfinite(end[0])}
        found.append(facts)
    return found


def _number(value: Any) -> Any:
    """A number as JSON has it: `None` for NaN, a text for infinity."""
    return None if np.isnan(value) else float(value) if np.isfinite(value) else str(float(value))
