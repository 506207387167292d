"""`unspool inspect`: the contents of a model file."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unspool.config import Config, Summary

BARS = "█▇▆▅▄▃▂▁"
MAX_CURVE_WIDTH = 40
"""Characters of a curve."""


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
    arrays = read_entries(model)
    facts = model_facts(config, model.stat().st_size, {name: list(entry.shape) for name, entry in arrays.items()})
    if json:
        import msgspec

        print(msgspec.json.encode({"file": str(model), **facts, "schema": config.codec.schema}).decode())
        return
    print(f"{model}\n\n{config.codec.describe()}\n")
    for name, line in as_lines(config, facts).items():
        print(f"{name:<9}  {line}")


def model_facts(config: "Config", size: int, arrays: dict[str, list[int]]) -> dict[str, Any]:
    """Everything but the schema, for programs."""
    import msgspec

    from unspool.config import INPUT_MODEL_PREFIX

    row = config.row
    input_model = None
    if row is not None:
        count = sum(math.prod(shape) for name, shape in arrays.items() if name.startswith(INPUT_MODEL_PREFIX))
        input_model = {
            "hidden": row.size,
            "weights": count,
            "nats": row.nats,
            "table": row.table,
            "schema": row.codec.schema,
        }
    training = msgspec.structs.asdict(config.summary)
    return {
        "format": config.format,
        "bytes": size,
        "weights": config.summary.weights,
        "hidden": config.size,
        "layers": config.network.layers,
        "network": config.network,
        "options": config.training,
        "seed": config.seed,
        "training": training,
        "versions": config.versions,
        "data": config.data,
        "inputs": input_model,
        "arrays": arrays,
    }


def as_lines(config: "Config", facts: dict[str, Any]) -> dict[str, str]:
    """The same for people, one line each."""
    summary = config.summary
    layers = f"{config.network.layers} layer{'s' * (config.network.layers > 1)}"
    held = f"{summary.validation:,} held out" if summary.validation else "none held out"
    what = "held-out" if summary.validation else "training"
    size = f"{facts['bytes'] / 1000:,.0f} kB"
    return {
        "network": f"{layers} of {config.size} hidden units, {summary.weights:,} weights, {size}",
        "inputs": input_model_line(facts["inputs"]),
        "learned": f"{summary.nats:.4f} {what} nats a step, at update {summary.best_update} of {summary.updates}",
        "from": f"{summary.examples:,} sequences of {summary.steps:,} steps in all, {held}",
        "in": f"{summary.seconds:.1f} s, ended: {summary.stopped}, seed {config.seed}",
        "curve": training_line(summary),
        "versions": ", ".join(f"{name} {version}" for name, version in config.versions.items()),
        "format": str(config.format),
        "data": f"fingerprint {config.data[:16]}",
    }


def input_model_line(inputs: dict[str, Any] | None) -> str:
    """The model that draws rows of inputs, in one line.

    Examples:
        >>> input_model_line({"hidden": 32, "weights": 5120, "nats": 1.0986})
        'drawn by 32 hidden units, 5,120 weights, 1.0986 nats a row'
    """
    if inputs is None:
        return "given, not drawn: the file holds no model of them"
    return f"drawn by {inputs['hidden']} hidden units, {inputs['weights']:,} weights, {inputs['nats']:.4f} nats a row"


def training_line(summary: "Summary") -> str:
    """The nats over the training as one line, high to low.

    Examples:
        >>> from unspool.config import Summary, ValidationRound
        >>> rounds = [ValidationRound(n, 1 / n, None) for n in (1, 2, 4)]
        >>> training_line(Summary(0.25, 3, 0, 9, 0, 4, 4, 10, 1.0, "decayed", rounds))
        '1.000 █▃▁ 0.250'
    """
    values = [entry.train if entry.validation is None else entry.validation for entry in summary.rounds]
    values = [value for value in values if value == value and abs(value) != float("inf")]
    if not values:
        return "-"
    shown = [
        values[round(at * (len(values) - 1) / max(1, min(MAX_CURVE_WIDTH, len(values)) - 1))]
        for at in range(min(MAX_CURVE_WIDTH, len(values)))
    ]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    line = "".join(BARS[round((high - value) * scale)] for value in shown)
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        line = "..."  # a terminal that can't show the bars
    return f"{values[0]:.3f} {line} {values[-1]:.3f}"
