"""The section on held-out likelihood: the model beside the simplest baselines."""

import numpy as np

from unspool.evaluation.baselines.likelihoods import LikelihoodTask, Scores
from unspool.evaluation.document import (
    MODEL_NAME,
    Findings,
    Heading,
    Measured,
    Panel,
    Picture,
    ReportTable,
    Role,
    TableCell,
    Trace,
    answers,
)
from unspool.evaluation.samples.statistics import Codes, Reals, ratio


@answers("likelihood", "How well does it predict?")
def likelihood(
    task: LikelihoodTask, model: Reals, baselines: list[Scores], unit: str, characters: Codes | None = None
) -> Findings:
    """Nats per step in all and by field, each baseline beside the model, with errors over clusters of sequences.

    Args:
        task: what is predicted.
        model: (N, C) nats of the model.
        baselines: their nats.
        unit: what a step is called, such as a character.
        characters: (N,) of text, whatever its steps are; None of other sequences.
    """
    steps, clusters = task.test.lengths, task.test.clusters
    every = [Scores(MODEL_NAME, model), *baselines]
    nats = [ratio(-one.nats.sum(1), steps, clusters) for one in every]
    gains = [ratio((model - one.nats).sum(1), steps, clusters) for one in baselines]
    rows = [(one.name, nat, gain) for one, nat, gain in zip(every, nats, [Measured(None), *gains], strict=True)]
    overall = ReportTable(
        f"Held-out nats per {unit}",
        (Heading("", "text"), Heading("nats", digits=4, better="lower"), Heading("the model is better by", digits=4)),
        tuple(rows),
        note=f"Lower is better. {_measure_note(task)} The end of a sequence counts where lengths vary. ± is one "
        "standard error over sequences; the last column compares the same sequences.",
        own=(0,),
    )
    known = [row for row in zip(baselines, nats[1:], gains, strict=True) if row[1].value is not None]
    figures: dict[str, float | None] = {"nats": nats[0].value, "nats_error": nats[0].error}
    verdict = f"The model needs {nats[0].value:.3f} nats per {unit}."
    if known:
        best, figure, gain = min(known, key=lambda row: row[1].value or 0.0)
        figures |= {"baseline_nats": figure.value, "gain": gain.value, "gain_error": gain.error}
        verdict = _verdict(best.name, gain, unit)
    pictures = (_picture(every, nats, unit), _by_field(task, every))
    return Findings(verdict, (overall, *pictures, *_familiar(task, every, characters)), figures)


def _measure_note(task: LikelihoodTask) -> str:
    if any(target.number and target.cell is None for target in task.targets):
        return "Nats of numbers that lie on no grid are of densities in original units, so they may be negative."
    return "Nats are minus the logarithm of the probability of the value that came."


def _verdict(baseline: str, gain: Measured, unit: str) -> str:
    value, error = gain.value or 0.0, gain.error or 0.0
    if value > 2 * error:
        return f"Better than every baseline: {value:.3f} nats per {unit} ahead of the best one, {baseline}."
    if value < -2 * error:
        return f"Worse than the baseline {baseline}, by {-value:.3f} nats per {unit}: don't trust this model yet."
    return f"As good as the best baseline, {baseline}: the difference is {value:.3f} ± {error:.3f} nats per {unit}."


def _by_field(task: LikelihoodTask, every: list[Scores]) -> ReportTable:
    names = [target.name for target in task.targets] + ["when to stop"] * task.stops
    steps, clusters = task.test.lengths, task.test.clusters
    rows: tuple[tuple[TableCell, ...], ...] = tuple(
        (name, *(ratio(-one.nats[:, j], steps, clusters) for one in every)) for j, name in enumerate(names)
    )
    columns = (Heading("", "text"), *(Heading(one.name, better="lower") for one in every))
    note = "The rows add up to the table above. Only the model knows the fields before a field in the same step."
    return ReportTable("By field", columns, rows, note, across=True)


def _familiar(task: LikelihoodTask, every: list[Scores], characters: Codes | None) -> list[ReportTable]:
    """Bits per character of text, perplexity of other symbols."""
    steps, clusters = task.test.lengths, task.test.clusters
    tables = []
    if characters is not None:
        bits = [ratio(-one.nats.sum(1) / np.log(2), characters, clusters) for one in every]
        tables.append(
            ReportTable(
                "Bits per character, ends included",
                (Heading("", "text"), Heading("bits", better="lower")),
                tuple((one.name, bit) for one, bit in zip(every, bits, strict=True)),
                own=(0,),
            )
        )
    chosen = [j for j, target in enumerate(task.targets) if target.symbols is not None]
    if chosen:
        columns = (Heading("", "text"), *(Heading(task.targets[j].name, digits=2, better="lower") for j in chosen))
        rows: tuple[tuple[TableCell, ...], ...] = tuple(
            (one.name, *(_perplexity(ratio(-one.nats[:, j], steps, clusters)) for j in chosen)) for one in every
        )
        note = "The model is as uncertain as among so many equally likely symbols."
        tables.append(ReportTable("Perplexity", columns, rows, note, own=(0,)))
    return tables


def _perplexity(nats: Measured) -> Measured:
    if nats.value is None:
        return nats
    value = float(np.exp(nats.value))
    return Measured(value, None if nats.error is None else value * nats.error)


def _picture(every: list[Scores], nats: list[Measured], unit: str) -> Picture:
    """One point with two standard errors for the model and for every baseline."""
    known = [(one.name, figure) for one, figure in zip(every, nats, strict=True) if figure.value is not None]

    def trace(name: str, figure: Measured) -> Trace:
        value, width = figure.value or 0.0, 2 * (figure.error or 0.0)
        role: Role = "model" if name == MODEL_NAME else "baseline"
        return Trace("", (name,), (value,), (value - width,), (value + width,), "points", role)

    panel = Panel("", "", f"nats per {unit}", tuple(trace(*pair) for pair in known))
    return Picture("The model and the baselines", (panel,), "Lower is better. Bars are two standard errors.")
