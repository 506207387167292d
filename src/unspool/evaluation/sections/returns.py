"""The stylised facts of returns: what series of price changes have in common, held against what was generated."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Column, Panel, Picture, Section, Table, Trace, numbers
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.statistics import Beside, correlation, decimals, kolmogorov_smirnov, lagged, present

NAME, TITLE = "returns", "Do series of returns behave like real ones?"
LAGS = (1, 2, 3, 5, 10, 20)
PAIRS = 200
"""The fewest pairs of steps that the rule for returns, and a correlation at a lag, are judged by."""


def returns(side: Side, name: str, transform: str) -> NDArray[np.float64]:
    """(S,) the series of changes that a field holds: of the logarithm, or of the value, or the value itself.

    Args:
        side: the sequences.
        name: the number field.
        transform: the field's transform, which says what its changes are; the first change of a sequence is NaN.
    """
    values = side.numbers[name]
    if transform not in ("log_return", "difference"):
        return values
    if transform == "log_return":
        values = np.log(np.where(values > 0, values, np.nan))
    out = np.full(len(values), np.nan)
    before = lagged(side.offsets, 1)
    out[before + 1] = values[before + 1] - values[before]
    return out


def are_returns(series: NDArray[np.float64], offsets: NDArray[np.int64]) -> bool:
    """Whether a series is like returns: centred, of both signs, hardly correlated in time, and continuous.

    The rule: at least `PAIRS` pairs of neighbours; |mean| at most a quarter of the standard deviation; at least 30 %
    of the values on either side of zero; an autocorrelation at lag 1 within ±0.2; no value that more than 10 % share.
    """
    there = present(series)
    before = lagged(offsets, 1)
    if int((~np.isnan(series[before]) & ~np.isnan(series[before + 1])).sum()) < PAIRS or not there.std():
        return False
    signs = min((there > 0).mean(), (there < 0).mean())
    repeated = np.unique(there, return_counts=True)[1].max() / len(there)
    centred = abs(there.mean()) <= 0.25 * there.std()
    echo = correlation(series[before], series[before + 1])
    return bool(centred and signs >= 0.3 and abs(echo) <= 0.2 and repeated <= 0.1)


def returns_of(material: Material) -> dict[str, str]:
    """The number fields whose series are like returns in training, each with its transform."""
    transforms = {name: material.transforms.get(name, "none") for name in material.train.numbers}
    train = material.train
    return {
        name: transform
        for name, transform in transforms.items()
        if are_returns(returns(train, name, transform), train.offsets)
    }


def stylised(material: Material) -> Section:
    """Tails, volatility clustering, leverage and drawdowns of held-out and of generated series.

    The facts are those of Cont (2001), "Empirical properties of asset returns: stylized facts and statistical issues".
    Which fields are judged: see `are_returns`.
    """
    fields = returns_of(material)
    if not fields:
        why = "No number of the steps is like a series of returns: centred, hardly correlated in time, continuous."
        return Section(NAME, TITLE, why, made=False)
    rows: list[Beside] = []
    figures: dict[str, float | None] = {}
    panels = []
    three = (material.train, material.test, material.paths)
    for name, transform in fields.items():
        series = [(side, returns(side, name, transform)) for side in three]
        observed = [_facts(side.offsets, r) for side, r in series]
        rows += [Beside(name, fact, *(each[fact] for each in observed)) for fact in observed[0]]
        falls = [drawdowns(side, r) for side, r in series]
        for share in (0.5, 0.9):
            rows.append(Beside(name, f"{share:.0%} of drawdowns up to", *(float(np.quantile(x, share)) for x in falls)))
        figures[f"{name}, drawdowns apart"] = kolmogorov_smirnov(falls[1], falls[2])
        panels.append(_clustering(name, series[1:]))
    for row in rows:
        figures |= {f"{row.field}, {row.of}": row.made, f"{row.field}, {row.of}, held out": row.real}
    digits = max(decimals(row.real for row in rows if row.of == "standard deviation" and row.real > 0), 3)
    columns = tuple(Column(name, digits=digits) for name in ("training", "held out", "generated"))
    table = Table(
        "Facts of returns",
        (Column("field", "text"), Column("fact", "text"), *columns),
        tuple(rows),
        "Clustering: the correlation of |r| with |r| later. Leverage: that of r with |r| later, negative where falls "
        "make markets wild. Drawdown: the deepest fall of the running sum below its highest so far, in a sequence.",
    )
    tail, cluster = rows[1], rows[3]
    verdict = (
        f"{tail.field}: an {tail.of} of {tail.made:.1f} where held-out series have {tail.real:.1f}; |r| correlates at "
        f"lag 1 with {cluster.made:.2f} where held-out series have {cluster.real:.2f}."
    )
    return Section(NAME, TITLE, verdict, (table, Picture("Volatility clustering", tuple(panels[:6]))), figures)


def excess_kurtosis(values: NDArray[np.float64]) -> float:
    """The fourth moment in units of the squared second, less the 3 of a normal; NaN without spread."""
    there = present(values)
    if not len(there) or not there.std():
        return float("nan")
    return float((((there - there.mean()) / there.std()) ** 4).mean() - 3)


def echo(offsets: NDArray[np.int64], a: NDArray[np.float64], b: NDArray[np.float64], lag: int) -> float:
    """The correlation of a step's `a` with the `b` of `lag` steps later, over all sequences; NaN below `PAIRS`."""
    before = lagged(offsets, lag)
    return correlation(a[before], b[before + lag]) if len(before) >= PAIRS else float("nan")


def drawdowns(side: Side, series: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the deepest fall of each sequence's running sum below its highest so far, the start at 0 included."""
    steps = np.nan_to_num(side.padded(series, int(side.lengths.max(initial=0))))
    total = np.concatenate([np.zeros((len(side), 1)), np.cumsum(steps, 1)], axis=1)
    return (np.maximum.accumulate(total, 1) - total).max(1)


def _facts(offsets: NDArray[np.int64], r: NDArray[np.float64]) -> dict[str, float]:
    there = present(r)
    size = np.abs(r)
    return {
        "standard deviation": float(there.std()),
        "excess kurtosis": excess_kurtosis(r),
        "autocorrelation, lag 1": echo(offsets, r, r, 1),
        "clustering, lag 1": echo(offsets, size, size, 1),
        "clustering, lag 5": echo(offsets, size, size, 5),
        "leverage, lag 1": echo(offsets, r, size, 1),
        "leverage, lag 5": echo(offsets, r, size, 5),
    }


def _clustering(name: str, series: list[tuple[Side, NDArray[np.float64]]]) -> Panel:
    real, made = (tuple(echo(side.offsets, np.abs(r), np.abs(r), lag) for lag in LAGS) for side, r in series)
    traces = (Trace("held out", numbers(LAGS), real, role="real"), Trace("generated", numbers(LAGS), made))
    return Panel(name, "lag in steps", "correlation of |r|", traces)
