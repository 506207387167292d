"""State of the market on a day to its next 20 daily log-returns: the S&P 500, 1999 to 2018, in the package `arch`."""

import importlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.windows import Windows, windows
from unspool.demos.shared import compare, keep
from unspool.evaluation.baselines.densities import StudentDensity, fit_student
from unspool.evaluation.baselines.garch import fit_garch
from unspool.model import OneToMany
from unspool.tables.columns import take

LENGTH, TRAIN = 20, 0.8
STATE = ["volatility_5", "volatility_20", "volatility_60", "momentum_5", "momentum_20", "momentum_60", "drawdown"]


def data(index: str = "sp500") -> dict[str, NDArray[np.float64]]:
    """One row a day: the return of the day, and the state of the market at its close.

    Volatilities are logarithms of the root mean square return of the last days, momenta are sums of returns in
    units of it, the drawdown is the logarithm of the price over its highest so far.

    Args:
        index: a data set of prices in the package `arch`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loader of arch calls pandas in ways that are going away
        price = importlib.import_module(f"arch.data.{index}").load()["Adj Close"].to_numpy()
    returns = np.diff(np.log(price))
    columns = {"day": np.arange(len(returns), dtype=float), "r": returns}
    total, squares = (np.concatenate([[0.0], np.cumsum(x)]) for x in (returns, returns**2))
    for span in (5, 20, 60):
        past = lambda sums, span=span: sums[61:] - sums[61 - span : -span or None]  # noqa: E731
        columns[f"volatility_{span}"] = 0.5 * np.log(past(squares) / span)
        columns[f"momentum_{span}"] = past(total) / np.sqrt(past(squares))
    columns["drawdown"] = (total - np.maximum.accumulate(total))[61:]
    return {name: values[60:] if name in ("day", "r") else values for name, values in columns.items()}


def cut(columns: dict[str, NDArray[np.float64]], days: slice) -> Windows:
    """Windows of 20 returns, each with the state at the close before its first day."""
    part = {name: values[days] for name, values in columns.items()}
    return windows(part, order="day", length=LENGTH, inputs=STATE, sequence=["r"])


def shuffled_states(test: Windows) -> Windows:
    """The same windows after the states of other days."""
    order = np.random.default_rng(0).permutation(len(test))
    inputs = {name: take(column, order) for name, column in test.raw.inputs.items()}
    return replace(test, raw=replace(test.raw, inputs=inputs))


def main(folder: Path) -> None:
    """Fit on the first 80 % of the days, compare on the rest."""
    columns = data()
    returns = columns["r"]
    border = round(TRAIN * len(returns))
    train, test = cut(columns, slice(border)), cut(columns, slice(border + LENGTH, None))
    print(
        f"{border:,} days to learn from, a gap of {LENGTH}, then {len(returns) - border - LENGTH:,} held out\n",
        flush=True,
    )

    model = OneToMany(verbose=True).fit(train)

    nats = -model.log_prob(test).mean() / LENGTH
    at = border + LENGTH + test.starts[:, None] + np.arange(LENGTH)
    (loc,), scale, freedom = fit_student(returns[:border])
    student = StudentDensity(float(loc), scale, freedom).log_density(returns)[at].mean()
    garch = fit_garch(returns, border).log_prob()[at].mean()
    wrong = -model.log_prob(shuffled_states(test)).mean() / LENGTH
    compare(
        "day",
        [
            ("this model", nats, ""),
            ("constant Student's t", -student, ""),
            ("GARCH(1,1) with Student's t", -garch, "(it sees every day before; the model one state in 20 days)"),
            ("this model, states shuffled", wrong, f"so the state is worth {wrong - nats:.3f}"),
        ],
    )
    calm, wild = (int(np.argmin(sign * np.asarray(columns["volatility_20"][border:]))) + border for sign in (1, -1))
    state = {"day": ["the calmest day held out", "the wildest day held out"]}
    state |= {name: columns[name][[calm, wild]].tolist() for name in STATE}
    made = model.generate(state, n=500, seed=0)
    for k, word in enumerate(("calmest", "wildest")):
        total = np.array(made[500 * k : 500 * (k + 1)]).sum(1)
        low, high = np.quantile(total, [0.1, 0.9])
        print(
            f"  the {word} held-out day: the next 20 days end between {low:+.1%} and {high:+.1%} in 80 % of 500 paths"
        )
    keep(model, made, folder, "returns")
