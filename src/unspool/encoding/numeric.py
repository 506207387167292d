"""Numbers, fitted: which transform, with which centre and spread."""

import itertools
from typing import Literal

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.errors import SchemaError
from unspool.schema.coercion import is_whole
from unspool.tables.columns import offsets_from_lengths
from unspool.tables.location import Location, listing

DIFFERENCE_TRANSFORMS = ("difference", "log_return")
"""Transforms that this column takes by differences; gaps are another column, see `unspool.encoding.monotone`."""
POINT_MASS_TOLERANCE = 2e-6
"""Distance up to which a value in the network's units is an atom, relative to 1 + its size, as in its distribution."""
GRID_TOLERANCE = 2e-6
"""How far, relative to its size or to the range of training, float32 may carry a value off its grid."""
BOUND_TOLERANCE = 1e-5
"""How far, as a share of the range of training, float32 may carry a value beyond its bound."""


class NumericEncoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="scaled"):
    """A column of numbers, made comparable: z = (y - loc) / scale, where y is the transformed value.

    For `"difference"` and `"log_return"` y is the step from the last present value of the sequence, or from the
    value before step 0 where that is known. The first present value of a sequence that starts from nothing
    is itself (its logarithm), with its own centre and spread.

    Args:
        transform: any but "auto".
        loc: centre of y.
        scale: spread of y, above 0.
        first_loc: centre of first values; of series transforms only.
        first_scale: their spread, above 0.
        decimals: 0 when training saw whole numbers only, so that whole numbers come back; 1 to 6 when it saw decimals
            of at most so many places, to which what comes back is rounded; else None.
        nullable: training saw a missing value.
        unit: what log1p and asinh measure x in.
        low: the smallest value of training.
        high: the largest.
        missing: share of missing values in training.
        step: of the grid that all values of training lie on; 0 where there is none.
        mass: the distribution gives the masses of the grid's cells, rather than a density.
        atoms: values with a mass of their own; of series transforms, differences.
        floor: no draw is below it, or None.
        ceiling: no draw is above it, or None.
        edges: of the bins of a histogram, in the network's units.
        levels: the values of the grid that occur, where others are rare.
        unseen: probability of a value that is none of the levels.
    """

    transform: Literal["none", "standardise", "log1p", "asinh", "difference", "log_return"]
    loc: float
    scale: float
    first_loc: float = 0.0
    first_scale: float = 1.0
    decimals: int | None = None
    nullable: bool = False
    unit: float = 1.0
    low: float = 0.0
    high: float = 0.0
    missing: float = 0.0
    step: float = 0.0
    mass: bool = False
    point_masses: tuple[float, ...] = ()
    floor: float | None = None
    ceiling: float | None = None
    edges: tuple[float, ...] = ()
    support_points: tuple[float, ...] = ()
    unseen: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "first_scale", "unit"):
            if not 0 < getattr(self, name) < np.inf:
                raise SchemaError(f"number, {name}", "a finite number above 0", str(getattr(self, name)))
        if any(later <= before for before, later in itertools.pairwise(self.edges)):
            raise SchemaError("number, edges", "rising numbers", str(self.edges))
        if any(later <= before for before, later in itertools.pairwise(self.support_points)):
            raise SchemaError("number, levels", "rising numbers", listing(map(repr, self.support_points)))
        if self.support_points and not (len(self.support_points) > 1 and 0 < self.unseen < 1 and self.step > 0):
            raise SchemaError("number, levels", "two or more, of a grid, and a probability of others", str(self.unseen))

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        transform: str,
        location: Location,
        offsets: np.ndarray | None = None,
        base: np.ndarray | None = None,
    ) -> "NumericEncoder":
        """Find centre and spread.

        Args:
            values: (S,) int64 or float64, NaN where missing, at least one present.
            transform: any but "auto".
            location: where the column is.
            offsets: (N + 1,) for the steps of sequences.
            base: (N,) the values before step 0, NaN or None where unknown.

        Raises:
            SchemaError: a value that the transform is not defined for.
        """
        x = values.astype(np.float64)
        present = x[~np.isnan(x)]
        start = cls(transform, 0.0, 1.0, unit=transforms.natural_unit(present, transform))  # type: ignore[arg-type]
        y, alone, _ = start.steps(x, offsets, base, location)
        first = (0.0, 1.0)
        if transform == "none":
            loc, scale = 0.0, 1.0
        else:
            loc, scale = transforms.centre_and_spread(y[~alone])
            if alone.any():
                # Sequences that all start at one value get the spread of the steps, not an arbitrary 1.
                centre, spread = transforms.centre_and_spread(y[alone])
                first = (centre, spread if np.ptp(y[alone]) > 0 else scale)
        return msgspec.structs.replace(
            start,
            loc=loc,
            scale=scale,
            first_loc=first[0],
            first_scale=first[1],
            decimals=0 if values.dtype.kind == "i" or is_whole(values) else None,
            nullable=len(present) < len(x),
            low=float(present.min()),
            high=float(present.max()),
            missing=1 - len(present) / len(x),
        )

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray | None = None, base: np.ndarray | None = None
    ) -> np.ndarray:
        """(S,) float64 z, NaN where missing.

        Raises:
            SchemaError: a value that the transform is not defined for, or a missing one where training had none.
        """
        return self.encode_with_slope(values, location, offsets, base)[0]

    def encode_with_slope(
        self, values: np.ndarray, location: Location, offsets: np.ndarray | None = None, base: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """z, and log(dz/dx) of each step, so that log p(x) = log p(z) + log(dz/dx); 0 where missing, and for masses."""
        x = values.astype(np.float64)
        gone = np.isnan(x)
        if gone.any() and not self.nullable:
            raise missing_value(location, int(np.argmax(gone)))
        y, alone, kept = self.steps(x, offsets, base, location)
        z, slope = np.full(len(x), np.nan), np.zeros(len(x))
        z[kept] = np.where(alone, (y - self.first_loc) / self.first_scale, (y - self.loc) / self.scale)
        slope[kept] = transforms.log_slope(x[kept], self.transform, self.unit)
        slope[kept] -= np.where(alone, np.log(self.first_scale), np.log(self.scale))
        if self.mass:
            slope[:] = 0.0
        for atom in self.point_mass_positions:
            slope[np.abs(z - atom) <= POINT_MASS_TOLERANCE * (1 + abs(atom))] = 0.0
        return z, slope

    @property
    def point_mass_positions(self) -> list[float]:
        """Where the atoms are, in the network's units."""
        atoms = np.array(self.point_masses)
        y = atoms if self.transform in DIFFERENCE_TRANSFORMS else transforms.forward(atoms, self.transform, self.unit)
        return ((y - self.loc) / self.scale).tolist()

    def decode(
        self,
        z: np.ndarray,
        offsets: np.ndarray | None = None,
        base: np.ndarray | None = None,
        known: np.ndarray | None = None,
        *,
        rounded: bool = True,
    ) -> np.ndarray:
        """Values in original units: int64 where training had whole numbers and none is missing, else float64.

        Args:
            z: (S,) as the network sees them, NaN where missing.
            offsets: (N + 1,) for the steps of sequences.
            base: (N,) the values before step 0, NaN or None where unknown.
            known: (S,) values that are known as they are, NaN elsewhere; what follows goes on from them.
            rounded: as training had them; else as float64, which more steps can go on from.
        """
        z = np.asarray(z, np.float64)
        kept = ~np.isnan(z)
        y = z[kept]
        if self.transform in DIFFERENCE_TRANSFORMS:
            inner = self._inner(kept, offsets)
            before = self.before(base)
            _, alone = transforms.differences(y, inner, before)
            step = self._exactly(y * self.scale + self.loc, y)
            step = np.where(alone, y * self.first_scale + self.first_loc, step)
            anchors = None if known is None else transforms.forward(known[kept], self.transform, self.unit)
            y = transforms.accumulate(*transforms.anchored(step, inner, before, anchors))
            if self.transform == "difference" and (self.floor is not None or self.ceiling is not None):
                y = np.clip(y, self.floor, self.ceiling)  # draws are within, up to what float32 loses
            exact = transforms.inverse(y, self.transform, self.unit)
        else:
            exact = self._exactly(transforms.inverse(y * self.scale + self.loc, self.transform, self.unit), y)
        x = np.full(len(z), np.nan)
        x[kept] = self._within(self._on_grid(exact))
        if known is not None:
            x = np.where(np.isnan(known), x, known)
        if self.decimals is None or not rounded:
            return x
        x = np.round(x, self.decimals)
        whole = self.decimals == 0 and bool(kept.all()) and bool(np.all(np.abs(x) < 2.0**63))
        return x.astype(np.int64) if whole else x

    def steps(
        self, x: np.ndarray, offsets: np.ndarray | None, base: np.ndarray | None, location: Location
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Y of the present values, which of them start from nothing, and which are present."""
        kept = self.check(x, location)
        y = transforms.forward(x[kept], self.transform, self.unit)
        if self.transform not in DIFFERENCE_TRANSFORMS:
            return y, np.zeros(len(y), bool), kept
        step, alone = transforms.differences(y, self._inner(kept, offsets), self.before(base))
        return step, alone, kept

    def placed(self, x: float) -> float:
        """Z of a number that doesn't add up; minus infinity where the transform has none that small."""
        value = np.array([x])
        if not transforms.legal(value, self.transform, self.unit)[0]:
            return -np.inf
        return (float(transforms.forward(value, self.transform, self.unit)[0]) - self.loc) / self.scale

    def check(self, x: np.ndarray, location: Location) -> np.ndarray:
        """Which values are present.

        Raises:
            SchemaError: a value that the transform is not defined for.
        """
        kept = ~np.isnan(x)
        legal = transforms.legal(x[kept], self.transform, self.unit)
        if not legal.all():
            row = int(np.flatnonzero(kept)[np.argmin(legal)])
            limit = "above 0" if self.transform == "log_return" else f"above {-self.unit:g}"
            hint = f"Pass Number({location.column!r}, transform=...) with another transform."
            raise SchemaError(location.at(row), f"a number {limit}, for {self.transform}", f"{x[row]:g}", hint)
        return kept

    def _exactly(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Atoms as they were, where float32 has rounded them."""
        for atom, location in zip(self.point_masses, self.point_mass_positions, strict=True):
            x = np.where(np.abs(z - location) <= POINT_MASS_TOLERANCE * (1 + abs(location)), atom, x)
        return x

    def _on_grid(self, x: np.ndarray) -> np.ndarray:
        """Multiples of the step as they were, where float32 has rounded them; what lies between them stays there."""
        if not self.step:
            return x
        nearest = np.round(x / self.step) * self.step + 0.0  # never -0
        slack = np.minimum(GRID_TOLERANCE * np.maximum(np.abs(x), self.high - self.low), 0.2 * self.step)
        return np.where(np.abs(x - nearest) <= slack, nearest, x)

    def _within(self, x: np.ndarray) -> np.ndarray:
        """Bounds as they were, where float32 has rounded a value across."""
        slack = BOUND_TOLERANCE * max(self.high - self.low, abs(self.low), abs(self.high))
        if self.floor is not None:
            x = np.where((x < self.floor) & (x > self.floor - slack), self.floor, x)
        if self.ceiling is not None:
            x = np.where((x > self.ceiling) & (x < self.ceiling + slack), self.ceiling, x)
        return x

    def before(self, base: np.ndarray | None) -> np.ndarray | None:
        """Y of what stands before step 0; NaN where nothing does, None where nothing ever does."""
        if base is None:
            return None
        before = np.asarray(base, np.float64)
        # A log-return from 0 or below has no meaning: such a sequence starts from nothing.
        legal = np.where(transforms.legal(before, self.transform, self.unit), before, np.nan)
        return transforms.forward(legal, self.transform, self.unit)

    @staticmethod
    def _inner(kept: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
        """Offsets among the present values."""
        bounds = np.array([0, len(kept)]) if offsets is None else offsets
        if kept.all():
            return bounds
        return offsets_from_lengths(np.diff(np.concatenate(([0], np.cumsum(kept)))[bounds]))


def missing_value(location: Location, row: int) -> SchemaError:
    """The error about a missing value in a column that had none in training."""
    hint = "Give a value; or fit again with data in which it is missing at times."
    return SchemaError(location.at(row), "a value, because none was missing in training", "a missing one", hint)
