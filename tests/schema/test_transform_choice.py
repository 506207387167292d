"""The transform depends on the values, and is conservative."""

import numpy as np
import pytest

from unspool.schema.transform_choice import input_transform, step_transform

ROWS, STEPS = 40, 200
OFFSETS = np.arange(ROWS + 1) * STEPS


def series(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ROWS, STEPS))
    phase = rng.uniform(0, 6, (ROWS, 1))
    if kind.startswith("ar"):
        x, phi = np.zeros((ROWS, STEPS)), float(kind[2:])
        x[:, 0] = noise[:, 0] / np.sqrt(1 - phi**2)
        for t in range(1, STEPS):
            x[:, t] = phi * x[:, t - 1] + noise[:, t]
        return x.ravel()
    return {
        "walk": noise.cumsum(1),
        "counted walk": np.round(1000 + 5 * noise.cumsum(1)),
        "price": 100 * np.exp(0.02 * noise.cumsum(1)),
        "sine": np.sin(np.linspace(0, 10, STEPS) + phase),
        "noisy sine": np.sin(np.linspace(0, 10, STEPS) + phase) + 0.01 * noise,
        "lines": phase * np.arange(STEPS),
        "falling lines": 100 - phase * np.arange(STEPS),
        "drained": np.maximum(50 - np.abs(noise).cumsum(1), 0.0),
        "levels": 10 * phase + noise,
        "noise": noise,
        "rain": np.where(noise > 0.5, np.exp(1.5 * noise), 0.0),
        "cauchy": rng.standard_t(1, (ROWS, STEPS)),
        "returns": rng.standard_t(3, (ROWS, STEPS)),
    }[kind].ravel()


@pytest.mark.parametrize(
    ("kind", "transform"),
    [
        ("walk", "difference"),
        ("counted walk", "difference"),
        ("price", "log_return"),
        ("sine", "standardize"),
        ("noisy sine", "standardize"),
        ("ar0.9", "standardize"),
        ("ar0.5", "standardize"),
        ("lines", "increment"),
        ("falling lines", "decrement"),
        ("drained", "decrement"),
        ("levels", "standardize"),
        ("noise", "standardize"),
        ("rain", "log1p"),
        ("cauchy", "asinh"),
        ("returns", "standardize"),
    ],
)
def test_each_kind_of_series_gets_its_transform(kind: str, transform: str) -> None:
    assert step_transform(series(kind), OFFSETS) == transform


def panel(kind: str) -> np.ndarray:
    """Forty units of twelve years, at levels over two decades."""
    rng = np.random.default_rng(2)
    level, year = np.exp(rng.uniform(5, 9, (40, 1))), np.arange(12)
    noise = rng.normal(size=(40, 12))
    smooth = (noise.cumsum(1) + 3 * rng.normal(size=(40, 1))).cumsum(1)  # momentum: a walk of walks
    return {
        "growth": level * np.exp(0.03 * year + 0.005 * smooth),
        "whole": np.round(level * np.exp(0.02 * noise.cumsum(1) + 0.01 * year)),
        "measured": level * np.exp(0.02 * noise),
        "returning": level * np.exp(0.3 * np.sin(year + noise[:, :1])),
        "leaving": level * np.exp(0.8 * noise.cumsum(1)),
        "steady": np.repeat(level, 12, 1),
    }[kind].ravel()


@pytest.mark.parametrize(
    ("kind", "transform"),
    [
        ("growth", "log_return"),
        ("whole", "log_return"),
        ("measured", "standardize"),
        ("returning", "standardize"),
        ("leaving", "log1p"),
        ("steady", "increment"),  # by nothing
    ],
)
def test_units_that_keep_their_levels_are_seen_by_changes(kind: str, transform: str) -> None:
    assert step_transform(panel(kind), 12 * np.arange(41)) == transform


def test_missing_values_do_not_change_the_choice() -> None:
    price = series("price")
    price[np.random.default_rng(1).random(len(price)) < 0.1] = np.nan
    assert step_transform(price, OFFSETS) == "log_return"


@pytest.mark.parametrize(("sign", "transform"), [(1, "increment"), (-1, "decrement")])
def test_monotone_values_must_move_often_and_never_back(sign: int, transform: str) -> None:
    """Twenty moves within sequences; the value before step 0 counts too."""
    moves = sign * np.tile(np.arange(5.0), 5)
    offsets = np.arange(0, 26, 5)
    assert step_transform(moves, offsets) == transform
    assert step_transform(moves[:20], offsets[:5]) == "standardize"
    assert step_transform(moves[:20], offsets[:5], np.full(4, -sign * 1.0)) == transform
    assert step_transform(moves, offsets, np.full(5, sign * 1.0)) == "standardize"
    assert step_transform(np.repeat(sign * np.arange(40.0), 5), np.arange(0, 201, 5)) == "standardize"
    back = moves.copy()
    back[3] -= sign * 3.0
    assert step_transform(back, offsets) == "standardize"
    missing = np.where(np.arange(60) % 7 == 2, np.nan, sign * np.tile(np.arange(5.0), 12))
    assert step_transform(missing, np.arange(0, 61, 5)) == transform


@pytest.mark.parametrize("steps", [1, 2])
def test_sequences_of_a_step_or_two_have_no_changes_to_speak_of(steps: int) -> None:
    amounts = np.exp(np.random.default_rng(0).normal(0, 2, 180))
    assert step_transform(amounts, np.arange(0, 181, steps)) == "log1p"
    assert step_transform(amounts, np.concatenate([np.arange(0, 181, steps), [180]])) == "log1p"


def test_few_values_are_standardized() -> None:
    assert step_transform(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0, 4])) == "standardize"
    assert input_transform(np.exp(np.arange(10.0))) == "standardize"


def test_the_price_of_a_market_is_a_log_return_and_its_returns_are_not() -> None:
    sp500 = pytest.importorskip("arch.data.sp500", reason="the package arch brings the S&P 500")
    price = sp500.load()["Adj Close"].to_numpy()
    rows = np.arange(0, len(price) - 20, 5)[:, None] + np.arange(20)
    assert step_transform(price, np.array([0, len(price)])) == "log_return"
    assert step_transform(price[rows].ravel(), np.arange(len(rows) + 1) * 20) == "log_return"
    assert step_transform(np.diff(np.log(price)), np.array([0, len(price) - 1])) == "standardize"


def test_a_number_whose_neighbour_it_would_become_has_a_logarithmic_axis() -> None:
    """1 lies within the tolerance of the point mass at 0, beside a million in standard deviations."""
    assert input_transform(np.array([1, 2, 0, 0, 0, 0, 0, 1_170_970.0])) == "log1p"
    assert input_transform(np.array([1, 2, 0, 0, 0, 0, 0, -1_170_970.0])) == "asinh"
    assert input_transform(np.array([1, 2, 0, 0, 0, 0, 0, 1_170.0])) == "standardize"
