"""`unspool inspect`: the contents of a model file."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unspool.errors import readable

if TYPE_CHECKING:
    from unspool.config import Config, Summary

BARS = "█▇▆▅▄▃▂▁"
MAX_CURVE_WIDTH = 40
"""Most characters of a curve."""


def inspect(model: Path, *, json: bool = False) -> None:
    """Show the fields, sizes, training and versions of a model file.

    ```
    unspool inspect names.unspool
    unspool inspect names.unspool --json | jq .training.nats
    ```

    This reads only the header of the file, so a large model takes no longer than a small one.

    Args:
        model: the model file.
        json: print a JSON object instead.
    """
    from unspool.config import Config
    from unspool.modelfile import read_config, read_entries

    config = read_config(model, Config)
    shapes = {name: list(entry.shape) for name, entry in read_entries(model).items()}
    contents = _as_json(config, model.stat().st_size, shapes)
    if json:
        import msgspec

        text = msgspec.json.encode({"file": str(model), **contents, "schema": config.codec.schema}).decode()
        print(text if not sys.stdout.isatty() else readable(text, len(text)))
        return
    print(f"{readable(str(model), keep='')}\n\n{readable(config.codec.describe())}\n")
    for name, line in _as_lines(config, contents).items():
        print(readable(f"{name:<9}  {line}", keep=""))


def _as_json(config: "Config", size: int, shapes: dict[str, list[int]]) -> dict[str, Any]:
    """The contents of a file of `size` bytes with arrays of these shapes, but for the schema."""
    import msgspec

    from unspool.config import INPUT_MODEL_PREFIX

    row = config.row
    input_model: dict[str, Any] | None = None
    if row is not None:
        count = sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(INPUT_MODEL_PREFIX))
        input_model = {"hidden": row.size, "weights": count, "nats": row.nats}
        input_model |= {"table": row.table, "schema": row.codec.schema}
    return {
        "format": config.format,
        "bytes": size,
        "weights": config.summary.weights,
        "hidden": config.size,
        "layers": config.network.layers,
        "network": config.network,
        "options": config.training,
        "seed": config.seed,
        "training": msgspec.structs.asdict(config.summary),
        "versions": config.versions,
        "data": config.data,
        "inputs": input_model,
        "arrays": shapes,
    }


def _as_lines(config: "Config", contents: dict[str, Any]) -> dict[str, str]:
    """The contents of a file as one line each."""
    summary, inputs = config.summary, contents["inputs"]
    layers = f"{config.network.layers} layer{'s' * (config.network.layers > 1)}"
    held_out = f"{summary.validation:,} held out" if summary.validation else "none held out"
    part = "held-out" if summary.validation else "training"
    size = f"{contents['bytes'] / 1000:,.0f} kB"
    input_model = "given, not sampled: the file holds no model of them"
    if inputs is not None:
        units, weights = f"{inputs['hidden']} hidden units", f"{inputs['weights']:,} weights"
        input_model = f"sampled by {units}, {weights}, {inputs['nats']:.4f} nats a row"
    return {
        "network": f"{layers} of {config.size} hidden units, {summary.weights:,} weights, {size}",
        "inputs": input_model,
        "learned": f"{summary.nats:.4f} {part} nats a step, at update {summary.best_update} of {summary.updates}",
        "from": f"{summary.examples:,} sequences of {summary.steps:,} steps in all, {held_out}",
        "in": f"{summary.seconds:.1f} s, ended: {summary.stopped}, seed {config.seed}",
        "curve": training_line(summary),
        "versions": ", ".join(f"{name} {version}" for name, version in config.versions.items()),
        "format": str(config.format),
        "data": f"fingerprint {config.data[:16]}",
    }


def training_line(summary: "Summary") -> str:
    """The course of the nats in training as one line of bars.

    Examples:
        >>> from unspool.config import Summary, ValidationRound
        >>> rounds = [ValidationRound(n, 1 / n, None) for n in (1, 2, 4)]
        >>> training_line(Summary(0.25, 3, 0, 9, 0, 4, 4, 10, 1.0, "decayed", rounds))
        '1.000 █▃▁ 0.250'
    """
    values = [entry.train if entry.validation is None else entry.validation for entry in summary.rounds]
    values = list(filter(math.isfinite, values))
    if not values:
        return "-"
    width = min(MAX_CURVE_WIDTH, len(values))
    shown = [values[round(k * (len(values) - 1) / max(1, width - 1))] for k in range(width)]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    line = "".join(BARS[round((high - value) * scale)] for value in shown)
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        line = "..."  # the terminal can't show bars
    return f"{values[0]:.3f} {line} {values[-1]:.3f}"
