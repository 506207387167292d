"""The section on the input: how much worse the model gets when sequences are given the inputs of others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Encoded
from unspool.evaluation.document import Column, Measured, Section, Table
from unspool.evaluation.samples.statistics import ratio

SHUFFLES = 3
"""Shuffles whose mean is taken."""

Score = Callable[[Encoded], NDArray[np.float64]]


def cycle(count: int, seed: int) -> NDArray[np.int64]:
    """(N,) a permutation that is one cycle, so that no position keeps its own from a seed.

    Examples:
        >>> cycle(4, seed=0).tolist()
        [1, 2, 3, 0]
    """
    order = np.random.default_rng([seed, 6]).permutation(count)
    out = np.empty(count, np.int64)
    out[order] = np.roll(order, -1)
    return out


def conditioning(
    score: Score,
    encoded: Encoded,
    names: tuple[str, ...],
    true: NDArray[np.float64],
    clusters: NDArray[np.int64],
    seed: int,
    unit: str,
) -> Section:
    """Nats with the inputs of other sequences, less nats with the true ones; of all inputs, and of each alone.

    A value before step 0 that a difference starts from stays true: only what the network sees is exchanged.

    Args:
        score: the model's nats (N, C) of encoded examples.
        encoded: those to judge.
        names: of the input fields.
        true: (N, C) their nats with their own inputs.
        clusters: (N,) sequences that belong together.
        seed: of the shuffles.
        unit: what a step is called.
    """
    if len(encoded) < 2:
        return Section(
            "input", "Is the input used?", "Only one sequence to judge: there is no other input.", made=False
        )
    orders = [cycle(len(encoded), seed + 1000 * k) for k in range(SHUFFLES)]

    def lost(which: set[int]) -> Measured:
        total = np.zeros(len(encoded))
        for order in orders:
            inputs: tuple[Any, ...] = tuple(
                column[order] if j in which else column for j, column in enumerate(encoded.inputs)
            )
            total += (true - score(replace(encoded, inputs=inputs))).sum(1) / SHUFFLES
        return ratio(total, encoded.lengths, clusters)

    whole = lost(set(range(len(names))))
    alone = [lost({j}) for j in range(len(names))] if len(names) > 1 else []
    rows = [("all inputs" if alone else names[0], whole), *zip(names, alone, strict=False)]
    table = Table(
        f"Nats per {unit} that are lost when inputs are exchanged among sequences",
        (Column("", "text"), Column("lost", digits=4)),
        tuple(rows),
        note=f"Mean of {SHUFFLES} shuffles in which no sequence keeps its own input. One that is not used loses 0; "
        "what two inputs say alike, neither loses alone.",
    )
    figures = {"lost": whole.value, "lost_error": whole.error}
    figures |= {f"lost {name}": figure.value for name, figure in zip(names, alone, strict=False)}
    return Section("input", "Is the input used?", _verdict(whole, alone, names, unit), (table,), figures)


def _verdict(whole: Measured, alone: list[Measured], names: tuple[str, ...], unit: str) -> str:
    value, error = whole.value or 0.0, whole.error or 0.0
    if value <= 2 * error:
        return (
            f"No use of the input can be shown: other sequences' inputs lose {value:.4f} ± {error:.4f} nats per {unit}."
        )
    text = f"Yes: with the inputs of others it loses {value:.3f} nats per {unit}"
    if alone:
        best = max(range(len(names)), key=lambda j: alone[j].value or 0.0)
        text += f", most of all by {names[best]}"
    return text + "."
