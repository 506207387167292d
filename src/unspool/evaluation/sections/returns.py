"""The stylised facts of returns: what series of price changes have in common, in real and in generated sequences."""

import numpy as np

from unspool.evaluation.document import Findings, Panel, Picture, ReportTable, Trace, answers, headings, numbers
from unspool.evaluation.samples import statistics
from unspool.evaluation.samples.return_series import MIN_RETURN_PAIRS, return_fields, returns_of
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Compared, Reals, present

CLUSTERING_LAGS = (1, 2, 3, 5, 10, 20)


@answers("returns", "Do series of returns behave like real ones?")
def returns(comparison: Comparison) -> Findings:
    """Tails, volatility clustering, leverage and drawdowns of held-out and of generated series.

    The facts are those of Cont (2001), "Empirical properties of asset returns: stylized facts and statistical issues".
    """
    fields = return_fields(comparison)
    if not fields:
        rule = "centred, uncorrelated, continuous, in calm and wild spells"
        return Findings(f"No number of the steps is a series of returns: {rule}.", available=False)
    rows: list[Compared] = []
    figures: dict[str, float | None] = {}
    panels = []
    kinds = (comparison.train, comparison.real, comparison.synthetic)
    for name, transform in fields.items():
        series = [(one, returns_of(one, name, transform)) for one in kinds]
        facts = [_facts(one.offsets, r) for one, r in series]
        rows += [Compared(name, fact, *(each[fact] for each in facts)) for fact in facts[0]]
        falls = [drawdowns(one, r) for one, r in series]
        for share in (0.5, 0.9):
            quantiles = (float(np.quantile(x, share)) for x in falls)
            rows.append(Compared(name, f"{share:.0%} of drawdowns up to", *quantiles))
        figures[f"{name}, distance of drawdowns"] = statistics.kolmogorov_smirnov(falls[1], falls[2])
        panels.append(_clustering(name, series[1:]))
    for row in rows:
        figures |= {f"{row.field}, {row.of}": row.synthetic, f"{row.field}, {row.of}, held out": row.real}
    digits = statistics.decimals(row.real for row in rows if row.of == "standard deviation" and row.real > 0)
    columns = headings("training", "held out", "generated", digits=max(digits, 3))
    table = ReportTable(
        "Facts of returns",
        (*headings("field", "fact", form="text"), *columns),
        tuple(rows),
        "Clustering: the correlation of |r| with |r| later. Leverage: the correlation of r with |r| later, negative "
        "where falls make markets wild. Drawdown: the deepest fall of the running sum below its highest value so far.",
    )
    tail, cluster = rows[1], rows[3]
    verdict = (
        f"{tail.field}: the {tail.of} is {tail.synthetic:.1f}, that of held-out series {tail.real:.1f}. The "
        f"correlation of |r| at lag 1 is {cluster.synthetic:.2f}, that of held-out series {cluster.real:.2f}."
    )
    return Findings(verdict, (table, Picture("Volatility clustering", tuple(panels[:6]), same_y=True)), figures)


def excess_kurtosis(values: Reals) -> float:
    """The fourth moment in units of the squared second, less the 3 of a normal; NaN without spread."""
    known = present(values)
    if not len(known) or not known.std():
        return float("nan")
    return float((((known - known.mean()) / known.std()) ** 4).mean() - 3)


def drawdowns(samples: SampleSet, series: Reals) -> Reals:
    """(N,) the deepest fall of each sequence's running sum below its highest value so far, from 0 on."""
    steps = np.nan_to_num(samples.padded(series, int(samples.lengths.max(initial=0))))
    total = np.concatenate([np.zeros((len(samples), 1)), np.cumsum(steps, 1)], axis=1)
    return (np.maximum.accumulate(total, 1) - total).max(1)


def _later(a: Reals, b: Reals, offsets: Codes, lag: int) -> float:
    return statistics.lagged_correlation(a, b, offsets, lag, MIN_RETURN_PAIRS)


def _facts(offsets: Codes, r: Reals) -> dict[str, float]:
    size = np.abs(r)
    return {
        "standard deviation": float(present(r).std()),
        "excess kurtosis": excess_kurtosis(r),
        "autocorrelation, lag 1": _later(r, r, offsets, 1),
        "clustering, lag 1": _later(size, size, offsets, 1),
        "clustering, lag 5": _later(size, size, offsets, 5),
        "leverage, lag 1": _later(r, size, offsets, 1),
        "leverage, lag 5": _later(r, size, offsets, 5),
    }


def _clustering(name: str, series: list[tuple[SampleSet, Reals]]) -> Panel:
    real, synthetic = (
        tuple(_later(np.abs(r), np.abs(r), one.offsets, lag) for lag in CLUSTERING_LAGS) for one, r in series
    )
    at = numbers(CLUSTERING_LAGS)
    traces = (Trace("held out", at, real, role="real"), Trace("generated", at, synthetic))
    return Panel(name, "lag in steps", "correlation of |r|", traces)
