"""The section on held-out nats: the model beside the simplest things that could work."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.likelihoods import Scores, Task
from unspool.evaluation.document import Cell, Column, Measured, Panel, Picture, Role, Section, Table, Trace
from unspool.evaluation.samples.statistics import ratio

MODEL = "this model"


def likelihood(task: Task, model: NDArray[np.float64], rivals: list[Scores], unit: str) -> Section:
    """Nats per step in all and by field, each rival beside the model, with errors by sequence.

    Args:
        task: what was asked.
        model: (N, C) nats of the model.
        rivals: what the baselines gave.
        unit: what a step is called, such as a character.
    """
    steps, clusters = task.test.lengths, task.test.clusters
    every = [Scores(MODEL, model), *rivals]
    nats = [ratio(-one.nats.sum(1), steps, clusters) for one in every]
    gains = [ratio((model - one.nats).sum(1), steps, clusters) for one in rivals]
    rows = [(one.name, nat, gain) for one, nat, gain in zip(every, nats, [Measured(None), *gains], strict=True)]
    overall = Table(
        f"Held-out nats per {unit}",
        (
            Column("", "text"),
            Column("nats", digits=4, better="lower"),
            Column("the model is better by", digits=4),
        ),
        tuple(rows),
        note=f"Lower is better. {_measure_note(task)} The end of a sequence is counted where lengths vary. ± is one "
        "standard error, taken over sequences; the last column compares the same sequences.",
        own=(0,),
    )
    known = [(one, nat) for one, nat in zip(rivals, nats[1:], strict=True) if nat.value is not None]
    figures: dict[str, float | None] = {"nats": nats[0].value, "nats_error": nats[0].error}
    verdict = f"The model needs {nats[0].value:.3f} nats per {unit}."
    if known:
        best, figure = min(known, key=lambda pair: pair[1].value or 0.0)
        gain = gains[[one.name for one in rivals].index(best.name)]
        figures |= {"rival_nats": figure.value, "gain": gain.value, "gain_error": gain.error}
        verdict = _verdict(best.name, gain, unit)
    parts: list[Table | Picture] = [
        overall,
        _picture(every, nats, unit),
        _by_field(task, every),
        *_familiar(task, every),
    ]
    return Section("nats", "How well does it predict?", verdict, tuple(parts), figures)


def _measure_note(task: Task) -> str:
    if any(target.measure is not None and target.measure.cell is None for target in task.targets):
        return "Nats of numbers that lie on no grid are of densities in original units, so they may be negative."
    return "Nats are minus the logarithm of the probability that was given to what came."


def _verdict(rival: str, gain: Measured, unit: str) -> str:
    value, error = gain.value or 0.0, gain.error or 0.0
    if value > 2 * error:
        return f"Better than every baseline: {value:.3f} nats per {unit} ahead of the best of them, {rival}."
    if value < -2 * error:
        return f"Worse than the baseline {rival}, by {-value:.3f} nats per {unit}: don't trust this model yet."
    return (
        f"Not told apart from the best baseline, {rival} (a difference of {value:.3f} ± {error:.3f} nats per {unit})."
    )


def _by_field(task: Task, every: list[Scores]) -> Table:
    names = [target.name for target in task.targets] + ["when to stop"] * task.stops
    steps, clusters = task.test.lengths, task.test.clusters
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, *(ratio(-one.nats[:, j], steps, clusters) for one in every)) for j, name in enumerate(names)
    )
    columns = (Column("", "text"), *(Column(one.name, better="lower") for one in every))
    note = "The rows add up to the table above. The model alone gives a field also the fields before it in the step."
    return Table("By field", columns, rows, note, across=True)


def _familiar(task: Task, every: list[Scores]) -> list[Table]:
    """Bits per character of text, perplexity of other symbols."""
    steps, clusters = task.test.lengths, task.test.clusters
    tables = []
    if task.test.characters is not None:
        bits = [ratio(-one.nats.sum(1) / np.log(2), task.test.characters, clusters) for one in every]
        tables.append(
            Table(
                "Bits per character, ends included",
                (Column("", "text"), Column("bits", better="lower")),
                tuple((one.name, bit) for one, bit in zip(every, bits, strict=True)),
                own=(0,),
            )
        )
    chosen = [j for j, target in enumerate(task.targets) if target.symbols is not None]
    if chosen:
        columns = (Column("", "text"), *(Column(task.targets[j].name, digits=2, better="lower") for j in chosen))
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (one.name, *(_perplexity(ratio(-one.nats[:, j], steps, clusters)) for j in chosen)) for one in every
        )
        note = "As uncertain as among so many equally likely symbols."
        tables.append(Table("Perplexity", columns, rows, note, own=(0,)))
    return tables


def _perplexity(nats: Measured) -> Measured:
    if nats.value is None:
        return nats
    value = float(np.exp(nats.value))
    return Measured(value, None if nats.error is None else value * nats.error)


def _picture(every: list[Scores], nats: list[Measured], unit: str) -> Picture:
    """One point with two standard errors for the model and for every rival."""
    known = [(one.name, figure) for one, figure in zip(every, nats, strict=True) if figure.value is not None]

    def trace(name: str, figure: Measured) -> Trace:
        value, width = figure.value or 0.0, 2 * (figure.error or 0.0)
        role: Role = "model" if name == MODEL else "rival"
        return Trace("", (name,), (value,), (value - width,), (value + width,), "points", role)

    panel = Panel("", "", f"nats per {unit}", tuple(trace(*pair) for pair in known))
    return Picture("The model and its rivals", (panel,), "Lower is better; bars are two standard errors.")
