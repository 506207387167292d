"""HTML of a fitted model for a notebook: its fields, size, nats beside the simplest baseline, and an example."""

from html import escape

from unspool.config import Config
from unspool.jobs import Fitted, GenerationOptions, sampling_job

EXAMPLE_SEED = 0
CELL = "<td style='text-align:left; vertical-align:top'>{}</td>"


def model_card(fitted: Fitted, config: Config) -> str:
    """A table of facts, one of fields, and a generated sequence if the model samples inputs."""
    summary = config.summary
    layers = f"{config.network.layers} layer{'s' * (config.network.layers > 1)}"
    of = "validation" if summary.validation else "training"
    nats = f"{summary.nats:.3f} {of} nats per step"
    if summary.baseline is not None:
        nats += f"; {summary.baseline:.3f} of the simplest baseline, independent steps"
    facts = {
        "size": f"{layers} of {config.size} hidden units, {summary.weights:,} weights",
        "fitted to": f"{summary.examples:,} sequences of {summary.steps:,} steps in {summary.seconds:.0f} s",
        "nats": nats,
    }
    example = ""
    if fitted.input_model is not None:
        generated = sampling_job(fitted, 1, GenerationOptions(seed=EXAMPLE_SEED)).run()
        example = f"<div>An example, its input sampled too:</div>{generated._repr_html_()}"
    rows = "".join(
        f"<tr><th style='text-align:left'>{name}</th>{CELL.format(escape(x))}</tr>" for name, x in facts.items()
    )
    caption = "<caption style='text-align:left; white-space:nowrap'><b>OneToMany</b>, fitted</caption>"
    return f"<div><table>{caption}{rows}</table>{_fields(fitted)}{example}</div>"


def _fields(fitted: Fitted) -> str:
    """A row for every field of the inputs and of a step."""
    rows = [
        (role, field.name, field.kind, column.describe())
        for role, columns in (("input", fitted.codec.input_columns()), ("step", fitted.codec.step_columns()))
        for field, column in columns
        if field.columns
    ]
    titles = "".join(f"<th scope='col' style='text-align:left'>{name}</th>" for name in ("", "field", "kind", "values"))
    cells = ("".join(CELL.format(escape(text)) for text in row) for row in rows)
    return (
        f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody></table>"
    )
