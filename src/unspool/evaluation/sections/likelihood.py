"""The section on held-out likelihood: the model beside the simplest baselines."""

from collections.abc import Mapping

import numpy as np

from unspool.evaluation.baselines.likelihoods import LikelihoodTask
from unspool.evaluation.document import (
    MODEL_NAME,
    Findings,
    Measured,
    Panel,
    Picture,
    ReportTable,
    Role,
    Row,
    Trace,
    answers,
    headings,
)
from unspool.evaluation.samples.statistics import Codes, Reals, ratio


@answers("likelihood", "How well does it predict?")
def likelihood(
    task: LikelihoodTask, model: Reals, baselines: Mapping[str, Reals], unit: str, characters: Codes | None = None
) -> Findings:
    """Nats per step in all and by field, each baseline beside the model, with errors over clusters of sequences.

    `model` and `baselines` are (N, C) nats, `unit` is the name of a step, `characters` the (N,) lengths of texts.
    """
    steps, clusters = task.test.lengths, task.test.clusters
    every = {MODEL_NAME: model, **baselines}
    nats = {name: ratio(-one.sum(1), steps, clusters) for name, one in every.items()}
    gains = {name: ratio((model - one).sum(1), steps, clusters) for name, one in baselines.items()}
    overall = ReportTable(
        f"Held-out nats per {unit}",
        (
            *headings("", form="text"),
            *headings("nats", digits=4, better="lower"),
            *headings("the model is better by", digits=4),
        ),
        tuple((name, nat, gains.get(name, Measured(None))) for name, nat in nats.items()),
        note=f"Lower is better. {_measure_note(task)} The end of a sequence counts where lengths vary. ± is one "
        "standard error over sequences; the last column compares the same sequences.",
        own=(0,),
    )
    own = nats[MODEL_NAME]
    known = [name for name in baselines if nats[name].value is not None]
    figures = {"nats": own.value, "nats_error": own.error}
    verdict = f"The model needs {own.value:.3f} nats per {unit}."
    if known:
        best = min(known, key=lambda name: nats[name].value or 0.0)
        gain = gains[best]
        figures |= {"baseline_nats": nats[best].value, "gain": gain.value, "gain_error": gain.error}
        verdict = _verdict(best, gain, unit)
    pictures = (_picture(nats, unit), _by_field(task, every))
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


def _by_field(task: LikelihoodTask, every: Mapping[str, Reals]) -> ReportTable:
    names = [target.name for target in task.targets] + ["when to stop"] * task.stops
    steps, clusters = task.test.lengths, task.test.clusters
    rows: list[Row] = [
        (name, *(ratio(-one[:, j], steps, clusters) for one in every.values())) for j, name in enumerate(names)
    ]
    columns = (*headings("", form="text"), *headings(*every, better="lower"))
    note = "The rows add up to the table above. Only the model knows the fields before a field in the same step."
    return ReportTable("By field", columns, tuple(rows), note, across=True)


def _familiar(task: LikelihoodTask, every: Mapping[str, Reals], characters: Codes | None) -> list[ReportTable]:
    """Bits per character of text, perplexity of other symbols."""
    steps, clusters = task.test.lengths, task.test.clusters
    tables = []
    if characters is not None:
        columns = (*headings("", form="text"), *headings("bits", better="lower"))
        bits = [(name, ratio(-one.sum(1) / np.log(2), characters, clusters)) for name, one in every.items()]
        tables.append(ReportTable("Bits per character, ends included", columns, tuple(bits), own=(0,)))
    chosen = {target.name: j for j, target in enumerate(task.targets) if target.symbols is not None}
    if chosen:
        columns = (*headings("", form="text"), *headings(*chosen, digits=2, better="lower"))
        rows: list[Row] = [
            (name, *(_perplexity(ratio(-one[:, j], steps, clusters)) for j in chosen.values()))
            for name, one in every.items()
        ]
        note = "The model is as uncertain as among so many equally likely symbols."
        tables.append(ReportTable("Perplexity", columns, tuple(rows), note, own=(0,)))
    return tables


def _perplexity(nats: Measured) -> Measured:
    if nats.value is None:
        return nats
    value = float(np.exp(nats.value))
    return Measured(value, None if nats.error is None else value * nats.error)


def _picture(nats: Mapping[str, Measured], unit: str) -> Picture:
    """One point with two standard errors for the model and for every baseline."""
    traces = []
    for name, figure in nats.items():
        if figure.value is not None:
            value, width = figure.value, 2 * (figure.error or 0.0)
            role: Role = "model" if name == MODEL_NAME else "baseline"
            traces.append(Trace("", (name,), (value,), (value - width,), (value + width,), "points", role))
    panel = Panel("", "", f"nats per {unit}", tuple(traces))
    return Picture("The model and the baselines", (panel,), "Lower is better. Bars are two standard errors.")
