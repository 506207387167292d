"""Real sequences beside those that the model generates for the same inputs, as a reader knows them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.evaluation.document import Findings, ReportTable, Row, answers, headings
from unspool.labels import colours, labels, records_in_words, word
from unspool.tables.table import Table

MAX_EXAMPLES, MAX_EXAMPLES_OF_RECORDS, MAX_GENERATED = 6, 3, 2
"""Held-out inputs that are shown, of one-line sequences and of records; and generated sequences for each."""
MAX_EXAMPLE_STEPS, MAX_CHARACTERS = 12, 300
"""Steps of a sequence of values or records, and characters of a text; longer ones are cut."""


@answers("examples", "What do generated sequences look like?")
def examples(codec: Codec, real: Examples, generated: Examples, rows: NDArray[np.int64]) -> Findings:
    """Held-out sequences of a few rows, each beside the first sequences generated for the same input.

    `generated` has equally many sequences for each sequence of `real`, row after row.
    """
    records = codec.schema.form in ("records", "vectors")
    rows, samples = rows[: MAX_EXAMPLES_OF_RECORDS if records else MAX_EXAMPLES], len(generated) // len(real)
    each = min(samples, MAX_GENERATED)
    some = real.take(rows)
    inputs = Table({name: _column(values) for name, values in some.inputs.items()}, "dict", "the inputs")
    named = zip(colours(codec, inputs), labels(codec, inputs), strict=True)
    given = [label if colour is None or colour in label.lower() else f"{colour} {label}" for colour, label in named]
    columns = headings("held out", *["generated"] * each, form="text")
    shown = [_in_words(codec, some)]
    shown += [_in_words(codec, generated.take(rows * samples + k)) for k in range(each)]
    verdict = "A few held-out sequences, each beside sequences that were generated for its input."
    if not records:
        lines: tuple[Row, ...] = tuple((label, *(one[k][0] for one in shown)) for k, label in enumerate(given))
        return Findings(
            verdict, (ReportTable("For the same input", (*headings("input", form="text"), *columns), lines),)
        )
    tables = []
    for k, label in enumerate(given):
        steps = max(len(one[k]) for one in shown)
        lines = tuple((t + 1, *(one[k][t] if t < len(one[k]) else None for one in shown)) for t in range(steps))
        tables.append(ReportTable(label, (*headings("step", form="count"), *columns), lines))
    return Findings(verdict, tuple(tables))


def _column(values: NDArray[Any]) -> NDArray[Any]:
    """(N,) values of an input; those of a vector are lists."""
    if values.ndim == 1:
        return values
    column = np.empty(len(values), object)
    column[:] = values.tolist()
    return column


def _in_words(codec: Codec, sequences: Examples) -> list[list[str]]:
    """By sequence, the words for its steps; of a text or a list one line for all."""
    ends = list(zip(sequences.offsets[:-1].tolist(), sequences.offsets[1:].tolist(), strict=True))
    if codec.schema.form == "text":
        (points,) = sequences.steps.values()
        return [[_cut("".join(map(chr, points[start:end].tolist())))] for start, end in ends]
    columns: dict[str, NDArray[Any]] = {}
    for field in codec.schema.steps:
        values = sequences.steps[field.name]
        columns |= dict(zip(field.columns, values.T if values.ndim == 2 else [values], strict=True))
    if codec.schema.form == "list":
        (values,) = columns.values()
        return [[_listed(values[start:end])] for start, end in ends]
    return [
        records_in_words(
            codec.schema,
            {name: values[start : min(end, start + MAX_EXAMPLE_STEPS)] for name, values in columns.items()},
        )
        for start, end in ends
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _listed(values: NDArray[Any]) -> str:
    return " ".join(map(word, values[:MAX_EXAMPLE_STEPS].tolist())) + (" …" if len(values) > MAX_EXAMPLE_STEPS else "")
