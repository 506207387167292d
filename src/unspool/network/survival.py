"""Lengths as a life table: how many sequences reach each position, and how many end before it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

WIDTHS = (1024, 256, 64, 16, 4, 1)
"""Widths of the bands of positions whose hazards lean on each other, from the widest."""
MAX_NEWTON_STEPS, MIN_NEWTON_GAIN = 20, 0.01
"""Of a regression: steps at the most, and the nats from which on one more is worth it."""


class LifeTable(NamedTuple):
    """By position: how many sequences reach it, and how many end before it."""

    reached: Float[np.ndarray, " P"]
    ended: Float[np.ndarray, " P"]


def count_ends(lengths: NDArray[np.int64], ended: NDArray[np.bool_], positions: int) -> LifeTable:
    """Decisions to stop or go on, and those to stop, by position; the last position is all later ones too.

    Where `ended` (N,) is false, the sequence was cut before it ended.

    Examples:
        >>> [part.tolist() for part in count_ends(np.array([1, 2, 2, 4]), np.array([True, True, False, True]), 4)]
        [[4.0, 4.0, 2.0, 2.0], [0.0, 1.0, 1.0, 1.0]]
    """
    decided = lengths + ended  # a sequence that is cut never came to decide about the step after it
    last = positions - 1
    reached = len(lengths) - np.cumsum(np.bincount(np.minimum(decided, positions), minlength=positions)[:positions])
    reached[last] = np.maximum(decided - last, 0).sum()
    stops = np.bincount(np.minimum(lengths[ended], last), minlength=positions)
    return LifeTable(reached.astype(np.float64), stops.astype(np.float64))


def life_table(lengths: NDArray[np.int64], positions: int) -> Float[np.ndarray, " P"]:
    """The share of sequences that end before a position among those that reach it; the last is of all later ones.

    Each band of positions leans on the wider one around it as on one sequence, the widest on half an end. So where none
    has ended yet the hazard is near zero, and past the longest it is that of a wider band.

    Examples:
        >>> life_table(np.array([2, 2, 3, 3]), 5).round(2).tolist()
        [0.06, 0.06, 0.46, 0.76, 0.29]
    """
    counts = count_ends(lengths, np.ones(len(lengths), bool), positions)
    hazard = np.full(positions, 0.5)
    for width in WIDTHS:
        band = np.arange(positions) // width
        reached, ended = (np.bincount(band, part)[band] for part in counts)
        hazard = (ended + hazard) / (reached + 1)
    return hazard


class EndRegression(NamedTuple):
    """Logistic regression of stopping after a step on what is known of it, beside a logit that is given.

    Attributes:
        weights: of the D features of a step.
        constant: added to the given logit.
    """

    weights: Float[np.ndarray, " D"]
    constant: float

    @classmethod
    def fit(
        cls,
        features: Float[np.ndarray, "S D"],
        stops: Bool[np.ndarray, " S"],
        given: Float[np.ndarray, " S"],
        penalty: Float[np.ndarray, " D"],
    ) -> "EndRegression":
        """The most likely weights under a normal prior of variance 1 / `penalty` each, by Newton's method.

        Examples:
            >>> x = np.tile([0.0, 0.0, 1.0], 100)[:, None]
            >>> found = EndRegression.fit(x, x[:, 0] == 1, np.zeros(300), np.array([0.04]))
            >>> found.nats(x, x[:, 0] == 1, np.zeros(300)) < 3
            True
        """
        x = np.concatenate([features, np.ones((len(features), 1))], 1)
        prior = np.append(penalty, 1e-6)
        found = cls(np.zeros(features.shape[1]), 0.0)
        loss = found.nats(features, stops, given)
        for _ in range(MAX_NEWTON_STEPS):
            w = np.append(found.weights, found.constant)
            p = (1 + np.tanh((x @ w + given) / 2)) / 2
            gradient = x.T @ (p - stops) + prior * w
            move = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + np.diag(prior), gradient)
            for shorter in (1.0, 0.5, 0.25, 0.125):
                new = w - shorter * move
                tried = cls(new[:-1], float(new[-1]))
                total = tried.nats(features, stops, given) + float(prior @ new**2) / 2
                if total < loss:
                    break
            else:
                break  # no step along the direction gains: rounding is all that is left
            gained, found, loss = loss - total, tried, total
            if gained < MIN_NEWTON_GAIN:
                break
        return found

    def nats(self, features: NDArray[Any], stops: NDArray[np.bool_], given: NDArray[Any]) -> float:
        """Minus the log-likelihood of all decisions."""
        logit = features @ self.weights + self.constant + given
        return float(np.logaddexp(0.0, np.where(stops, -logit, logit)).sum())
