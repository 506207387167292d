"""Inputs that are drawn: all of a row, or those that the caller leaves out, given the ones that are known.

The model of inputs is autoregressive: a field depends on the fields before it. A known value is put in place of a draw.
Where fields before it are drawn, they must fit it: Unspool draws candidates of the whole row, weights each by the
probability of the known values given what was drawn before them, and takes one in proportion to the weights
(sampling-importance-resampling, Rubin 1987, "The calculation of posterior distributions by data augmentation").
Candidates are drawn until their weights are worth `MIN_EFFECTIVE` equal ones. Every uniform is counted: the inputs of
(seed, row, sample) are the same, whichever others are drawn with them.
"""

import warnings
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp
from jaxtyping import Array, Bool, Float, Int, UInt32
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.encoding.input_rows import KnownRows, as_inputs, from_nothing
from unspool.generation.one_field import Asked, sample_field, sample_increment
from unspool.generation.sample_step import RunningSums, Supports, start_sampling
from unspool.generation.sampler import SampleRequest
from unspool.generation.support import with_support
from unspool.network.cumulative import CumulativeRule
from unspool.network.decoder import Net
from unspool.network.distributions.categorical import IMPOSSIBLE
from unspool.network.distributions.rules import PLAIN, categorical_icdf
from unspool.runtime.devices import to_single_precision
from unspool.runtime.programs import program
from unspool.runtime.threefry import Ints, seed_words, uniforms

SEED_BIT = 1 << 63
"""Bit of the seed that is flipped for drawn inputs, so that they share no uniform with sequences."""
CANDIDATES, MAX_CANDIDATES = 512, 16_384
"""Candidates of one round, and of one row at the most."""
MIN_EFFECTIVE, FEW_EFFECTIVE = 64.0, 8.0
"""Equal weights that the candidates' must be worth to end the search; fewer than the second are worth a warning."""
CELLS, MAX_UNITS = 8_192, 1_024
"""Candidates, and rows, of one dispatch at the most."""
FIRST_CHOICE = 1 << 30
"""Number of the first step whose uniforms choose among candidates; those before draw them."""
EVEN_SHARE = 0.5
"""Share of candidates in which one of the drawn categories is any of its symbols alike, so that none is overlooked."""


class InputSampler(NamedTuple):
    """Draws rows of inputs.

    Attributes:
        net: the model of inputs.
        rows: the codec of its rows (`unspool.encoding.input_rows`).
        codec: the codec of the model.
        starts: by field of the rows, its running sum before the value, see `unspool.generation.support`.
        supports: by field, what its draws lie in.
        known: the inputs that are given.
        each: rows to draw for each row that is given.
    """

    net: Net
    rows: Codec
    codec: Codec
    starts: RunningSums
    supports: Supports
    known: KnownRows | None = None
    each: int = 1

    @classmethod
    def of(cls, net: Net, rows: Codec, codec: Codec, known: KnownRows | None = None, each: int = 1) -> "InputSampler":
        """The sampler of the inputs of `codec` by the model of inputs, `net` with its codec."""
        limits = with_support(SampleRequest((), 1, 0, PLAIN, 1, 1), rows, {}, 1)
        starts = tuple(None if origins is None else to_single_precision(origins.start) for origins in limits.origins)
        return cls(net, rows, codec, starts, limits.supports, known, each)

    def draw(self, seed: int, part: slice) -> dict[str, Any]:
        """The columns of some of the rows; those that are given, as well, come back as the rows hold them."""
        number = np.arange(part.start, part.stop)
        values, effective = _draw(self, seed, number // self.each, number % self.each)
        _warn_of_few(effective, number // self.each)
        return as_inputs(self.codec, self.rows, self.rows.decode(values, np.arange(len(number) + 1)))


class Choice(NamedTuple):
    """The candidate taken in one round for each of U rows.

    Attributes:
        values: per field.
        uniform: decides whether it replaces that of the rounds before.
        total: logarithm of the sum of all weights of the round.
        squares: of the sum of their squares.
    """

    values: tuple[Array, ...]
    uniform: Float[Array, " U"]
    total: Float[Array, " U"]
    squares: Float[Array, " U"]


@program(static=["candidates"])
def choose(
    net: Net,
    seed: UInt32[Ints, "2"],
    row: Int[Ints, " U"],
    sample: Int[Ints, " U"],
    round: Int[Array, ""],  # noqa: A002
    known: tuple[Array | NDArray[Any], ...],
    where: Bool[Ints, "U F"],
    even: Float[Ints, " F"],
    starts: RunningSums,
    supports: Supports,
    candidates: int,
) -> Choice:
    """Draw candidates of U rows, and take one of each row in proportion to its weight.

    Args:
        net: the model of inputs.
        seed: two words.
        row: the caller's row, one of the counters of uniforms.
        sample: another one: the number among the draws of the row.
        round: number of candidates drawn before, in units of `candidates`.
        known: per field, (U,) the values.
        where: which of them are known.
        even: by field, the share of draws in which all symbols are alike.
        starts: by field, the running sum before the value where values add up.
        supports: by field, the support of draws.
        candidates: for each row.
    """
    U = len(row)
    state, ready = start_sampling(net, tuple(map(jnp.asarray, from_nothing(candidates * U))))
    steps = round * candidates + jnp.arange(candidates)
    u = uniforms(seed, row, sample, steps, net.shape.num_uniforms).reshape(candidates * U, -1)
    output, _ = net.step(ready, state.decoder.feedback, state.decoder.lstm, net.masks())
    weight = jnp.zeros(candidates * U)
    values: tuple[Array, ...] = ()
    context = net.outputs.begin(output)
    for j in range(len(net.shape.steps.params)):
        dist, cumulative = net.field(j)
        params, own = net.outputs.params(context, j), u[:, net.shape.uniforms_of(j)]
        given, is_known = jnp.tile(known[j], candidates), jnp.tile(where[:, j], candidates)
        excess: Any = 0.0
        if dist.event_shape.symbols is not None:
            drawn, excess = _drawn_symbol(params, own[:, 0], even[j])
        elif not isinstance(cumulative, CumulativeRule):
            drawn = sample_field(dist, params, own, PLAIN, _for_all(supports[j], candidates * U))
        else:
            total = jnp.broadcast_to(starts[j], candidates * U)
            asked = Asked.of(_for_all(supports[j], candidates * U), total)
            drawn, _ = sample_increment(dist, params, own, PLAIN, asked, cumulative, jnp.int32(0))
        value = jnp.where(is_known, given, drawn)
        weight += jnp.where(is_known, dist.log_prob(params, value), excess)
        values = (*values, value)
        context = net.condition_on(ready, context, j, value)
    weights = weight.reshape(candidates, U).T
    weights = jnp.where(jnp.isnan(weights), -jnp.inf, weights)
    total, choice = logsumexp(weights, -1), uniforms(seed, row, sample, FIRST_CHOICE + round[None], 2)[0]
    chosen = categorical_icdf(jnp.where(jnp.isfinite(total)[:, None], weights, 0.0), choice[:, 0])
    at = chosen * U + jnp.arange(U)
    return Choice(tuple(value[at] for value in values), choice[:, 1], total, logsumexp(2 * weights, -1))


def _for_all(support: Any, count: int) -> Any:
    """The support of numbers for so many rows."""
    if support is None:
        return None
    low, high = (jnp.broadcast_to(jnp.asarray(end, jnp.float32), count) for end in (support.low, support.high))
    return support._replace(low=low, high=high)


def _drawn_symbol(
    logits: Float[Array, "B V"], uniform: Float[Array, " B"], even: Float[Array, ""]
) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
    """A symbol of a mixture of its distribution and of all symbols alike, and by how much it is less probable there."""
    nats = log_softmax(logits)
    known = logits > IMPOSSIBLE / 2
    mixed = jnp.logaddexp(jnp.log1p(-even) + nats, jnp.log(even) - jnp.log(known.sum(-1, keepdims=True)))
    mixed = jnp.where(known, mixed, IMPOSSIBLE)
    symbol = categorical_icdf(jnp.where(even > 0, mixed, logits), uniform)
    excess = jnp.where(even > 0, nats - mixed, 0.0)
    return symbol, jnp.take_along_axis(excess, symbol[:, None], -1)[:, 0]


def _draw(
    sampler: InputSampler, seed: int, row: NDArray[np.int64], sample: NDArray[np.int64]
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.float64]]:
    """Values of each row by step field, and how many equal weights those of their candidates are worth."""
    known = KnownRows.nothing(sampler.rows) if sampler.known is None else sampler.known
    at = np.zeros_like(row) if sampler.known is None else row
    given = tuple(to_single_precision(part) if part.dtype.kind == "f" else part for part in known.values)
    where = np.stack(known.where, 1)
    even = _even_shares(sampler.net, np.asarray(where.any(0)))
    rounds, candidates = (1, 1) if even is None else (MAX_CANDIDATES // CANDIDATES, CANDIDATES)
    even, width = np.zeros(len(given), np.float32) if even is None else even, min(CELLS // candidates, MAX_UNITS)
    values = tuple(part[at] for part in given)
    total, squares = np.full(len(row), -np.inf), np.full(len(row), -np.inf)
    left = np.arange(len(row))
    for number in range(rounds):
        for first in range(0, len(left), width):
            rows = left[first : first + width]
            padded = np.resize(rows, width)
            ids = (row[padded].astype(np.int32), sample[padded].astype(np.int32), jnp.int32(number))
            parts = tuple(part[at[padded]] for part in given), where[at[padded]], even, sampler.starts, sampler.supports
            choice = choose(sampler.net, seed_words(seed ^ SEED_BIT), *ids, *parts, candidates)
            taken, *sums = (np.asarray(part, np.float64)[: len(rows)] for part in choice[1:])
            both = np.logaddexp(total[rows], sums[0])
            with np.errstate(invalid="ignore"):  # minus infinity, where no candidate is possible yet
                replaced = (taken < np.exp(sums[0] - both)) | (number == 0)
            for part, fresh in zip(values, choice.values, strict=True):
                part[rows[replaced]] = np.asarray(fresh)[: len(rows)][replaced]
            total[rows], squares[rows] = both, np.logaddexp(squares[rows], sums[1])
        left = np.flatnonzero(_effective(total, squares) < MIN_EFFECTIVE)
    return values, np.full(len(row), np.inf) if rounds == 1 else _effective(total, squares)


def _effective(total: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many equal weights some weights are worth (Kong 1992), from the logarithms of their sum and of squares."""
    return np.where(np.isfinite(total), np.exp(2 * np.where(np.isfinite(total), total, 0.0) - squares), 0.0)


def _even_shares(net: Net, known: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """By field, the share of draws in which all symbols are alike; `None` where no drawn field precedes a known one."""
    drawn = ~known & (np.arange(len(known)) < np.flatnonzero(known).max(initial=-1))
    if not drawn.any():
        return None
    symbols = drawn & [event.symbols is not None for event in net.shape.steps.events]
    return np.where(symbols, EVEN_SHARE / max(symbols.sum(), 1), 0.0).astype(np.float32)


def _warn_of_few(effective: NDArray[np.float64], row: NDArray[np.int64]) -> None:
    """Say which known inputs hardly any candidate fits."""
    few = np.unique(row[effective < FEW_EFFECTIVE]) + 1
    if len(few):
        rows = ", ".join(map(str, few[:5].tolist())) + ", ..." * (len(few) > 5)
        warnings.warn(
            f"inputs: row {rows}: what is given seldom or never goes together in training, so the inputs drawn "
            f"for it fit it roughly (of {MAX_CANDIDATES:,} candidates, fewer than {FEW_EFFECTIVE:.0f} do).",
            stacklevel=2,
        )
