"""A detector that is neither of the models': boosted trees on plain summaries of each sequence.

It shares no code with the report's own detector, and sees no input, so that it asks one question of any two models:
can one tell their sequences from real ones? 0.5 is a coin, 1 is always.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

FOLDS = 5


class Ragged(NamedTuple):
    """Sequences, one after another.

    Attributes:
        offsets: (N + 1,); sequence i has rows `offsets[i]` to `offsets[i + 1]`.
        columns: (S,) by name: float64, or objects where they are symbols.
    """

    offsets: np.ndarray
    columns: dict[str, np.ndarray]


def summaries(data: Ragged, levels: dict[str, list[object]]) -> np.ndarray:
    """(N, D) summaries; NaN where a sequence has none.

    The length. Of a number: mean, standard deviation, least, most, first, last, autocorrelation at lag 1, mean and
    standard deviation of the changes, share missing, share of zeros. Of symbols: the share of each of the given levels
    and of missing ones, and the number of changes.

    >>> data = Ragged(np.array([0, 3, 4]), {"x": np.array([1.0, 3.0, 2.0, 0.0])})
    >>> summaries(data, {})[:, :7].tolist()
    [[3.0, 2.0, 1.0, 1.0, 3.0, 1.0, 2.0], [1.0, 0.0, nan, 0.0, 0.0, 0.0, 0.0]]
    """
    N = len(data.offsets) - 1
    owner = np.repeat(np.arange(N), np.diff(data.offsets))
    found = [pd.Series(np.diff(data.offsets))]
    for name, column in data.columns.items():
        values = pd.Series(column)
        if name in levels:
            found += [(values == level).groupby(owner).mean() for level in levels[name]]
            coded = values.map({level: k for k, level in enumerate(levels[name])}).fillna(-1)
            found += [(coded.groupby(owner).diff().fillna(0) != 0).groupby(owner).sum()]
        else:
            groups = values.groupby(owner)
            found += [groups.mean(), groups.std(), groups.min(), groups.max(), groups.first(), groups.last()]
            centred = values - groups.transform("mean")
            found.append((centred * centred.groupby(owner).shift()).groupby(owner).mean() / groups.var())
            changes = groups.diff().groupby(owner)
            found += [changes.mean(), changes.std(), (values == 0).groupby(owner).mean()]
        found.append(values.isna().groupby(owner).mean())
    return np.stack([one.reindex(range(N)).to_numpy(float) for one in found], axis=1)


def stretches(starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Which windows of a series to keep, (N,) bool, and the group of each, so that no two groups share a row.

    >>> [part.tolist() for part in stretches(np.array([0, 1, 2, 3, 4, 5]), 2)]
    [[True, True, False, False, True, True], [0, 0, 0, 0, 1, 1]]
    """
    place = starts - starts.min()
    return place // length % 2 == 0, place // (2 * length)


def auc(real: np.ndarray, generated: np.ndarray, groups: np.ndarray, seed: int) -> float:
    """The share of (real, generated) couples that trees rank right, cross-validated.

    Args:
        real: (N, D) summaries.
        generated: (N, D) of one sequence for each input of the real ones.
        groups: (N,) what is held out together; a real sequence and that of its input always are.
        seed: of the folds and of the trees.
    """
    both, truth = np.concatenate([real, generated]), np.repeat([0, 1], len(real))
    known, group = np.unique(groups, return_inverse=True)
    fold = np.tile((np.random.default_rng(seed).permutation(len(known)) % FOLDS)[group], 2)
    score = np.empty(len(both))
    for k in np.unique(fold):  # in one thread: on so few rows threads wait for each other longer than they work
        trees = HistGradientBoostingClassifier(min_samples_leaf=5, early_stopping=False, random_state=seed)
        columns = ~np.isnan(both[fold != k]).all(0)  # scikit-learn takes no column without any value
        with threadpool_limits(1, user_api="openmp"):
            trees.fit(both[fold != k][:, columns], truth[fold != k])
            score[fold == k] = trees.predict_proba(both[fold == k][:, columns])[:, 1]
    return float(roc_auc_score(truth, score))
