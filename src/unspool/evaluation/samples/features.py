"""Sequences of any length and kind as rows of figures, and the trees that learn from such rows."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.sample_set import ABSENT, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, lagged_steps, optional_module, step_changes

MAX_SYMBOL_FEATURES = 20
"""Symbols of a field whose shares are features of their own: the most frequent ones."""
HASH_BINS = 32
"""Bins that pairs of neighbouring symbols are hashed into."""
MAX_FEATURE = 1e100
"""A larger figure, of a sequence that grew without bound, is set to this: learners take no infinity."""
QUANTILES_OF_VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_ROWS_FOR_SMALL_LEAVES = 1000
"""With fewer rows, leaves may hold 5 rows rather than 20."""


def features(samples: SampleSet, like: SampleSet, *, inputs: bool = True) -> Reals:
    """(N, D) summaries of each sequence of a comparable set, NaN where one does not exist, for gradient-boosted trees.

    Of every number: mean, standard deviation, quantiles, first and last value, share missing, share of zeros, mean size
    of the changes, autocorrelation within the sequence, and correlation with the next number field. Of every symbol
    field: the shares of the most frequent symbols of the set `like`, of missing ones and of repetitions, the first and
    the last symbol, the number of different ones, and pairs of neighbours hashed into bins. The length. The inputs.
    """
    columns: list[NDArray[Any]] = [samples.lengths]
    for values in samples.numbers.values():
        columns += _of_number(samples, values)
    columns += [_correlation(samples, a, b) for a, b in itertools.pairwise(samples.numbers.values())]
    for name, codes in samples.symbols.items():
        columns += _of_symbol(samples, codes, like.symbols[name])
    if inputs:
        columns += _of_inputs(samples)
    return _table(columns)


def input_features(samples: SampleSet) -> Reals:
    """(N, D) numbers and codes of the inputs alone; and of their numbers, how far each is above the one before.

    Columns that follow each other closely, such as the prices of a day, differ where trees would need many splits.
    """
    numbers = [column for column in samples.inputs.values() if column.dtype.kind == "f"]
    numbers = [part for column in numbers for part in np.atleast_2d(column.T)]
    return _table([*_of_inputs(samples), *(b - a for a, b in itertools.pairwise(numbers))])


def _of_inputs(samples: SampleSet) -> list[NDArray[Any]]:
    return [part for column in samples.inputs.values() for part in np.atleast_2d(column.T)]


def _table(columns: list[NDArray[Any]]) -> Reals:
    table = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    return np.clip(table, -MAX_FEATURE, MAX_FEATURE)


def _of_number(samples: SampleSet, values: Reals) -> list[NDArray[Any]]:
    missing = np.isnan(values)
    mean = _mean(samples, values)
    centred = values - mean[samples.owner]
    spread = np.sqrt(_mean(samples, centred**2))
    before = lagged_steps(samples.offsets, 1)
    change, product = np.abs(step_changes(values, samples.offsets)), np.full(len(values), np.nan)
    product[before + 1] = centred[before + 1] * centred[before]
    with np.errstate(divide="ignore", invalid="ignore"):
        autocorrelation = np.where(spread > 0, _mean(samples, product) / spread**2, np.nan)
    zero = np.where(missing, np.nan, values == 0)
    shares = [_mean(samples, missing.astype(np.float64)), _mean(samples, zero)]
    ends = _ends(samples, values)
    return [mean, spread, *_quantiles(samples, values), *ends, *shares, _mean(samples, change), autocorrelation]


def _of_symbol(samples: SampleSet, codes: Codes, like: Codes) -> list[NDArray[Any]]:
    known, counts = np.unique(like[like != ABSENT], return_counts=True)
    common = known[np.argsort(-counts, kind="stable")[:MAX_SYMBOL_FEATURES]]
    before = lagged_steps(samples.offsets, 1)
    repeated = np.full(len(codes), np.nan)
    repeated[before + 1] = codes[before + 1] == codes[before]
    pairs = np.full(len(codes), np.nan)
    # A multiplicative hash: neighbouring codes fall into different bins (Knuth, "The Art of Computer Programming" 6.4).
    mixed = (codes[before] + 2) * np.int64(2654435761) + (codes[before + 1] + 2) * np.int64(40503)
    pairs[before + 1] = (mixed >> 7) % HASH_BINS
    different = np.unique(np.stack([samples.owner, codes]), axis=1)[0]
    out: list[NDArray[Any]] = [_mean(samples, (codes == symbol).astype(np.float64)) for symbol in common]
    out += [_mean(samples, (codes == ABSENT).astype(np.float64)), _mean(samples, repeated)]
    out += [np.bincount(different, minlength=len(samples)), *_ends(samples, codes.astype(np.float64))]
    if len(common) > 1:
        kept = ~np.isnan(pairs)
        cells = samples.owner[kept] * HASH_BINS + pairs[kept].astype(np.int64)
        table = np.bincount(cells, minlength=len(samples) * HASH_BINS).reshape(-1, HASH_BINS)
        out += list((table / np.maximum(samples.lengths[:, None] - 1, 1)).T)
    return out


def _mean(samples: SampleSet, values: NDArray[Any]) -> Reals:
    """(N,) the means of values without NaN; NaN without any."""
    kept = ~np.isnan(values)
    count = np.bincount(samples.owner[kept], minlength=len(samples))
    total = np.bincount(samples.owner[kept], values[kept].astype(np.float64), minlength=len(samples))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _correlation(samples: SampleSet, a: Reals, b: Reals) -> Reals:
    both = np.isnan(a) | np.isnan(b)
    a, b = (np.where(both, np.nan, x) for x in (a, b))
    a, b = (x - _mean(samples, x)[samples.owner] for x in (a, b))
    scale = np.sqrt(_mean(samples, a**2) * _mean(samples, b**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, _mean(samples, a * b) / scale, np.nan)


def _quantiles(samples: SampleSet, values: Reals) -> list[Reals]:
    """(N,) by sequence for each of `QUANTILES_OF_VALUES`, the nearest of the sorted values without NaN."""
    kept = ~np.isnan(values)
    owner, known = samples.owner[kept], values[kept]
    ordered = known[np.lexsort((known, owner))]
    count = np.bincount(owner, minlength=len(samples))
    start, some = np.cumsum(count) - count, count > 0
    out = np.full((len(QUANTILES_OF_VALUES), len(samples)), np.nan)
    for column, share in zip(out, QUANTILES_OF_VALUES, strict=True):
        column[some] = ordered[start[some] + np.rint(share * (count[some] - 1)).astype(np.int64)]
    return list(out)


def _ends(samples: SampleSet, values: Reals) -> list[Reals]:
    first, last = np.full((2, len(samples)), np.nan)
    some = samples.lengths > 0
    first[some] = values[samples.offsets[:-1][some]]
    last[some] = values[samples.offsets[1:][some] - 1]
    return [first, last]


def boosted_trees(kind: str, table: Reals, target: NDArray[Any], asked: Reals, seed: int) -> Any:
    """Predictions of scikit-learn's gradient-boosted trees for (M, D) rows, learned from (N, D) rows, NaN if missing.

    They run in one thread: on tables of this size threads wait for each other longer than they work.

    Args:
        kind: `"Classifier"`, for (M, classes) probabilities in the order of the classes, or `"Regressor"`, for (M,).
        table: (N, D) to learn from.
        target: (N,) classes or numbers.
        asked: (M, D) to predict for.
        seed: of the trees.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    estimator = getattr(optional_module("sklearn.ensemble"), f"HistGradientBoosting{kind}")
    some = ~np.isnan(table).all(0)  # scikit-learn takes no column without any value
    leaf = 5 if len(table) < MAX_ROWS_FOR_SMALL_LEAVES else 20
    with optional_module("threadpoolctl").threadpool_limits(1, user_api="openmp"):
        trees = estimator(early_stopping=False, min_samples_leaf=leaf, random_state=seed).fit(table[:, some], target)
        return trees.predict_proba(asked[:, some]) if kind == "Classifier" else trees.predict(asked[:, some])
