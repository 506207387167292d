"""Gradient-boosted trees of scikit-learn, the one learner that judges sequences by their summaries."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.statistics import extra

SMALL = 1000
"""Below as many rows, leaves may hold 5 of them rather than 20."""


def learned(kind: str, table: NDArray[np.float64], target: NDArray[Any], asked: NDArray[np.float64], seed: int) -> Any:
    """What trees learned from a table say of another: probabilities of the classes, or numbers.

    In one thread, because on tables of this size threads wait for each other longer than they work.

    Args:
        kind: `"Classifier"` or `"Regressor"`.
        table: (N, D) to learn from, NaN where missing.
        target: (N,) classes or numbers.
        asked: (M, D) rows to tell.
        seed: of the trees.

    Returns:
        (M, classes) probabilities in the order of the classes, or (M,) numbers.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    maker = getattr(extra("sklearn.ensemble"), f"HistGradientBoosting{kind}")
    some = ~np.isnan(table).all(0)  # scikit-learn takes no column without any value
    leaf = 5 if len(table) < SMALL else 20
    with extra("threadpoolctl").threadpool_limits(1, user_api="openmp"):
        trees = maker(early_stopping=False, min_samples_leaf=leaf, random_state=seed).fit(table[:, some], target)
        return trees.predict_proba(asked[:, some]) if kind == "Classifier" else trees.predict(asked[:, some])
