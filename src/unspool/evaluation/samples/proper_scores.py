"""Real values among the generated values of the same input: ranks, and proper scores of the sample as a forecast.

Sequences differ in length. A value is compared with the generated sequences that have a value at its position: given
that both sequences go on, which value comes? The section `lengths` judges whether both go on; the energy score judges
both questions.
"""

from collections.abc import Mapping

import numpy as np

from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, optional_module, subsample

MIN_MEMBERS = 10
"""Generated values that a real value needs at its position for a rank or a score."""
QUANTILES = (0.1, 0.5, 0.9)
MAX_INDICATORS = 64
"""Symbols of a field with an indicator of their own in the energy score; of more, some share one."""
MAX_VALUES = 20_000_000
"""Generated values of one field that are held at once; if there are more, fewer held-out sequences are judged."""


def why_no_forecasts(comparison: Comparison) -> str | None:
    """Why generated sequences can't be judged as forecasts; None where they can."""
    if not comparison.real.numbers:
        return "There are no numbers in the steps."
    if comparison.samples < MIN_MEMBERS:
        return f"It takes at least {MIN_MEMBERS} generated sequences for each input; there are {comparison.samples}."
    return None


def judged_rows(comparison: Comparison, seed: int) -> Codes:
    """The held-out rows that forecasts are judged on: all, unless their forecasts are too many to hold."""
    steps = max(int(comparison.real.lengths.max(initial=1)), 1)
    return subsample(len(comparison.real), max(MAX_VALUES // (comparison.samples * steps), MIN_MEMBERS), seed)


def sample_rows(rows: Codes, samples: int) -> Codes:
    """The positions of the generated sequences of some held-out rows."""
    return (rows[:, None] * samples + np.arange(samples)).ravel()


def members(real: SampleSet, forecasts: SampleSet, values: Reals) -> Reals:
    """(S, m) for each step of N real sequences the m generated values at its position, in rising order, NaN last.

    `values` are those of all steps of `forecasts`, which are m sequences for each real one, row after row.
    """
    longest = int(real.lengths.max(initial=0))
    grid = forecasts.padded(values, longest).reshape(len(real), len(forecasts) // len(real), longest)
    return np.sort(grid[real.owner, :, real.position], axis=1)


def _members_of(values: Reals, among: Reals) -> Codes:
    """(S,) how many generated values each value is compared with; 0 if it is missing, or if they are too few."""
    count = (~np.isnan(among)).sum(1)
    return np.where(np.isnan(values) | (count < MIN_MEMBERS), 0, count)


def randomized_pit(values: Reals, among: Reals, rng: np.random.Generator) -> Reals:
    """(S,) the randomised probability integral transform (PIT), uniform on (0, 1) if all values are of one law.

        u = (members below + V (members equal + 1)) / (members + 1),  V uniform

    The rank of the value among itself and the members is uniform if all are exchangeable, and V spreads the rank over
    its cell. So u is exactly uniform, for any number of members and with any ties (Czado, Gneiting & Held 2009,
    "Predictive model assessment for count data"). A band of 80 % then covers 80 % of values without correction. The PIT
    is NaN if the value is missing, or if the (S, m) members are fewer than `MIN_MEMBERS`.
    """
    count = _members_of(values, among)
    below = (among < values[:, None]).sum(1)
    equal = (among == values[:, None]).sum(1)
    u = (below + rng.random(len(values)) * (equal + 1)) / (count + 1)
    return np.where(count > 0, u, np.nan)


def in_central_band(pit: Reals, level: float) -> Reals:
    """(S,) 1 if a PIT lies in the central band of that mass, 0 if not, NaN without a PIT."""
    return np.where(np.isnan(pit), np.nan, np.abs(pit - 0.5) <= level / 2)


def crps(values: Reals, among: Reals) -> Reals:
    """(S,) the continuous ranked probability score (CRPS) in the unit of the values; lower is better.

    The fair estimate, mean |X - y| - mean |X - X'| / 2 over pairs of different members, whose expectation does not
    depend on the number of members (Ferro 2014, "Fair scores for ensemble forecasts"). Probability-weighted moments
    give the same number from sorted members (Zamo & Naveau 2018).

    Raises:
        MissingExtra: scoringrules is not installed.
    """
    library = optional_module("scoringrules")
    out = np.full(len(values), np.nan)
    for n, at in _by_count(_members_of(values, among)):
        out[at] = library.crps_ensemble(values[at], among[at, :n], estimator="pwm", sorted_ensemble=True)
    return out


def pinball(values: Reals, among: Reals) -> Reals:
    """(S, 3) the quantile losses max(q (y - x), (q - 1) (y - x)) of the members' quantiles x at `QUANTILES`."""
    out = np.full((len(values), len(QUANTILES)), np.nan)
    for n, at in _by_count(_members_of(values, among)):
        over = values[at] - np.quantile(among[at, :n], QUANTILES, axis=1)
        q = np.array(QUANTILES)[:, None]
        out[at] = np.maximum(q * over, (q - 1) * over).T
    return out


def energy_score(real: SampleSet, forecasts: SampleSet, scale: Mapping[str, float], *, symbols: bool = False) -> Reals:
    """(N,) the energy score of whole sequences; lower is better.

        mean |X - y| - mean |X - X'| / 2,  over different forecasts X, X'

    (Gneiting & Raftery 2007, "Strictly proper scoring rules"). A sequence is one vector: by step, every number in units
    of its scale, 0 if the number is missing or the sequence is over, and beside it 1 for a present number. So length
    and missing values are judged too, no sequence is left out, and the score stays proper.

    Args:
        real: N sequences.
        forecasts: m for each real one, row after row.
        scale: by number field, its unit.
        symbols: whether indicators of symbols are coordinates, too.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    distance = optional_module("scipy.spatial.distance")
    longest = int(max(real.lengths.max(initial=0), forecasts.lengths.max(initial=0)))
    samples = len(forecasts) // max(len(real), 1)
    widths = {name: min(len(real.names[name]), MAX_INDICATORS) for name in real.symbols} if symbols else {}
    at_once = max(MAX_VALUES // max(samples * longest * (2 * len(scale) + 1 + sum(widths.values())), 1), 1)
    out = []
    for first in range(0, len(real), at_once):
        rows = np.arange(first, min(first + at_once, len(real)))
        truth = _vectors(real.take(rows), scale, widths, longest)
        generated = _vectors(forecasts.take(sample_rows(rows, samples)), scale, widths, longest)
        out += [
            distance.cdist(y[None], x).mean() - distance.pdist(x).mean() / 2
            for y, x in zip(truth, generated.reshape(len(rows), samples, -1), strict=True)
        ]
    return np.array(out, np.float64)


def _vectors(samples: SampleSet, scale: Mapping[str, float], widths: Mapping[str, int], longest: int) -> Reals:
    parts = [np.arange(longest) < samples.lengths[:, None]]
    for name, unit in scale.items():
        grid = samples.padded(samples.numbers[name], longest) / unit
        known = ~np.isnan(grid)
        parts += [np.where(known, grid, 0), known]
    for name, width in widths.items():
        codes = samples.padded(samples.symbols[name].astype(np.float64), longest)[..., None]
        parts.append(((codes % width == np.arange(width)) & (codes != ABSENT)).reshape(len(samples), -1))
    return np.concatenate([part.astype(np.float64) for part in parts], axis=1)


def _by_count(count: Codes) -> list[tuple[int, Codes]]:
    """The steps by their number of members."""
    return [(int(n), np.flatnonzero(count == n)) for n in np.unique(count[count > 0])]
