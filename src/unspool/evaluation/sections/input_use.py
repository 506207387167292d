"""The section on the input: how much worse the model predicts sequences that are given the inputs of others."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from unspool.encoding.encoded import Encoded
from unspool.evaluation.document import Findings, Measured, ReportTable, answers, headings
from unspool.evaluation.samples.statistics import Codes, Reals, ratio

SHUFFLES = 3
"""Shuffles whose mean is taken."""


def derangement(count: int, seed: int) -> Codes:
    """(N,) a random permutation that is one cycle, so that no position keeps its own (Sattolo 1986).

    Examples:
        >>> derangement(4, seed=0).tolist()
        [1, 2, 3, 0]
    """
    order = np.random.default_rng([seed, 6]).permutation(count)
    out = np.empty(count, np.int64)
    out[order] = np.roll(order, -1)
    return out


@answers("input_use", "Is the input used?")
def input_use(
    score: Callable[[Encoded], Reals],
    encoded: Encoded,
    names: tuple[str, ...],
    true: Reals,
    clusters: Codes,
    seed: int,
    unit: str,
) -> Findings:
    """Nats with the true inputs, less nats with the inputs of other sequences; of all inputs, and of each alone.

    A value before step 0 that a difference starts from stays true: only the inputs of the network are exchanged.

    Args:
        score: gives the model's (N, C) nats of encoded examples.
        encoded: the held-out sequences.
        names: of the input fields.
        true: (N, C) nats with the true inputs.
        clusters: (N,) of the sequences.
        seed: of the shuffles.
        unit: the name of a step.
    """
    if not names:
        return Findings("The model has no inputs.", available=False)
    if len(encoded) < 2:
        return Findings("Only one sequence is held out: there is no other input.", available=False)
    orders = [derangement(len(encoded), seed + 1000 * k) for k in range(SHUFFLES)]

    def lost(which: set[int]) -> Measured:
        total = np.zeros(len(encoded))
        for order in orders:
            inputs = [column[order] if j in which else column for j, column in enumerate(encoded.inputs)]
            total += (true - score(replace(encoded, inputs=tuple(inputs)))).sum(1) / SHUFFLES
        return ratio(total, encoded.lengths, clusters)

    whole = lost(set(range(len(names))))
    alone = [lost({j}) for j in range(len(names))] if len(names) > 1 else []
    rows = [("all inputs" if alone else names[0], whole), *zip(names, alone, strict=False)]
    table = ReportTable(
        f"Nats per {unit} that the model loses with the inputs of other sequences",
        (*headings("", form="text"), *headings("lost", digits=4)),
        tuple(rows),
        note=f"Mean of {SHUFFLES} shuffles in which no sequence keeps its own input. An unused input loses 0. "
        "Where two inputs say the same, neither of them alone loses anything.",
    )
    figures = {"lost": whole.value, "lost_error": whole.error}
    figures |= {f"lost {name}": figure.value for name, figure in zip(names, alone, strict=False)}
    return Findings(_verdict(whole, alone, names, unit), (table,), figures)


def _verdict(whole: Measured, alone: list[Measured], names: tuple[str, ...], unit: str) -> str:
    value, error = whole.value or 0.0, whole.error or 0.0
    if value <= 2 * error:
        return f"Not measurably: the inputs of other sequences lose {value:z.4f} ± {error:.4f} nats per {unit}."
    text = f"Yes: with the inputs of other sequences the model loses {value:.3f} nats per {unit}"
    if alone:
        best = max(range(len(names)), key=lambda j: alone[j].value or 0.0)
        text += f", most with {names[best]}"
    return text + "."
