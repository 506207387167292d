"""State of the market on a day to its next 20 daily log-returns: the S&P 500, 1999 to 2018, in the package `arch`."""

import importlib
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.windows import Windows, windows
from unspool.demos.shared import print_nats, save_results
from unspool.model import OneToMany

LENGTH, TRAIN = 20, 0.8
"""Days of a window, and the share of all days to learn from."""
SPANS = (5, 20, 60)
"""Days that the volatilities and momenta of a state look back."""
STATE = [*(f"volatility_{span}" for span in SPANS), *(f"momentum_{span}" for span in SPANS), "drawdown"]


def load_returns(index: str = "sp500") -> dict[str, NDArray[np.float64]]:
    """One row a day: the return of the day, and the state of the market at its close.

    Volatilities are logarithms of the root mean square return of the last days, momenta are sums of returns in
    units of it, the drawdown is the logarithm of the price over its maximum so far. `index` is a data set of `arch`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loader of arch makes deprecated calls of pandas
        price = importlib.import_module(f"arch.data.{index}").load()["Adj Close"].to_numpy()
    returns = np.diff(np.log(price))
    total, squares = (np.concatenate([[0.0], np.cumsum(x)]) for x in (returns, returns**2))
    columns = {"day": np.arange(len(returns), dtype=float), "r": returns}
    for span in SPANS:
        sum_of, squares_of = (sums[span:] - sums[:-span] for sums in (total, squares))
        columns[f"volatility_{span}"] = 0.5 * np.log(squares_of / span)
        columns[f"momentum_{span}"] = sum_of / np.sqrt(squares_of)
    columns["drawdown"] = total - np.maximum.accumulate(total)
    days = len(returns) - max(SPANS)
    return {name: values[-days:] for name, values in columns.items()}


def cut(columns: dict[str, NDArray[np.float64]], days: slice) -> Windows:
    """Windows of 20 returns, each with the state at the close before its first day."""
    part = {name: values[days] for name, values in columns.items()}
    return windows(part, order="day", length=LENGTH, inputs=STATE, sequence=["r"])


def run_returns(folder: Path) -> None:
    """Fit to the first 80 % of the days, evaluate on the rest, generate from two held-out days."""
    columns = load_returns()
    days = len(columns["r"])
    border = round(TRAIN * days)
    held_out = slice(border + LENGTH, None)
    train, test = cut(columns, slice(border)), cut(columns, held_out)
    print(f"{border:,} days to learn from, a gap of {LENGTH}, then {days - border - LENGTH:,} held out\n", flush=True)

    model = OneToMany(verbose=True).fit(train)
    print_nats(model, train, test, "day")

    volatility = columns["volatility_20"][held_out]
    chosen = {"calmest": int(volatility.argmin()), "wildest": int(volatility.argmax())}
    state = {name: columns[name][held_out][list(chosen.values())].tolist() for name in STATE}
    paths = model.generate({"day": [f"the {word} day held out" for word in chosen]} | state, n=500, seed=0)
    for word, total in zip(chosen, np.array(list(paths)).sum(1).reshape(2, 500), strict=True):
        low, high = np.quantile(total, [0.1, 0.9])
        print(f"  the {word} held-out day: 20 days later the log-price changed by {low:+.1%} to {high:+.1%} in 80 %")
    save_results(model, paths, folder, "returns")
