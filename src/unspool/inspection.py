"""What a fitted network knows: distributions of the next step, hidden states, and encodings of inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from unspool.encoding.columns import Continuation
from unspool.encoding.encoded import Encoded
from unspool.generation.sampler import sample_sequences
from unspool.jobs import Fitted, GenerationJob, GenerationOptions, check_whole, generation_job
from unspool.network.distributions.multilabel import conditional_means
from unspool.network.likelihood import start_decoding, teacher_forced
from unspool.runtime.devices import to_single_precision
from unspool.tables.columns import missing_mask
from unspool.training.batching import to_buckets
from unspool.training.scoring import MAX_SCORE_ROWS, timewise

STEP_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of a number or a date in the next step."""


class InputEncoding(NamedTuple):
    """What the network makes of N rows of inputs, before the first step.

    Attributes:
        context: (N, C) the encoded inputs.
        h: (N, L, H) the initial hidden states of the decoder's L layers.
        c: (N, L, H) their initial cell states.
    """

    context: NDArray[np.float32]
    h: NDArray[np.float32]
    c: NDArray[np.float32]


@dataclass(frozen=True)
class NextStep:
    """The distribution of the step after a prefix.

    Attributes:
        end: the probability that the sequence ends instead; 0 where all sequences of training have one length.
        probabilities: by column of categories or flags, the probability of every value, the likeliest first. Columns
            of a step depend on each other; these are the probabilities of each column by itself.
        quantiles: by column of numbers or dates, the values at `STEP_QUANTILES` of those that are not missing.
        missing: by column of numbers or dates, the probability of a missing value.
    """

    end: float
    probabilities: Mapping[str, Mapping[Any, float]]
    quantiles: Mapping[str, Mapping[float, Any]]
    missing: Mapping[str, float]


def next_steps(fitted: Fitted, inputs: Any, prefix: Any, samples: int, seed: int) -> list[NextStep]:
    """The next step of every row of inputs; see `OneToMany.next_step`.

    Probabilities of the first field are exact; those of later fields, and of the members of a block of flags, are means
    over `samples` draws of what stands before them in the step.
    """
    check_whole(f"next_step(samples={samples!r})", samples, 1)
    job = generation_job(fitted, inputs, samples, GenerationOptions(seed=seed, prefix=prefix))
    rows, observed = len(job.inputs or ()), job.request.observed
    given = np.zeros(rows, np.int64) if observed is None else np.resize(np.diff(observed.offsets), rows)
    return [_next_step(job, row, int(count) + 1) for row, count in enumerate(given)]


def _next_step(job: GenerationJob, row: int, steps: int) -> NextStep:
    """The distribution of the last of so many steps of a row, of which the others are given."""
    samples = job.request.samples
    part, rows = slice(row * samples, (row + 1) * samples), np.full(samples, row)
    values, offsets, _ = sample_sequences(job.net, job.request._replace(length=steps), part)
    inputs = tuple(to_single_precision(column[rows]) for column in job.request.inputs)
    timewise_values = tuple(np.swapaxes(one.reshape(samples, steps, *one.shape[1:]), 0, 1) for one in values)
    end, means = _last_step(job.net, inputs, timewise_values)
    before = {name: column[rows] for name, column in job.before.items()}
    columns, _ = job.codec.decode_on(values, offsets, before, *job.observed_values(rows, offsets))
    probabilities: dict[str, dict[Any, float]] = {}
    quantiles: dict[str, dict[float, Any]] = {}
    missing: dict[str, float] = {}
    for (field, column), mean in zip(job.codec.step_columns(), means, strict=True):
        if column.num_symbols is not None:
            symbols = np.arange(column.num_symbols, dtype=np.int32)
            decoded = column.decode(symbols, Continuation(np.arange(len(symbols) + 1))).values
            share = np.asarray(mean, np.float64).mean(0)[: len(symbols)]
            probabilities |= {n: _summed(x.tolist(), share) for n, x in zip(field.columns, decoded, strict=True)}
        elif mean is not None:
            present = mean[~np.isnan(mean[:, 0])] if np.isnan(mean).sum() < mean.size else mean
            for name, yes in zip(field.columns, (1 + np.asarray(present, np.float64).mean(0)) / 2, strict=True):
                probabilities[name] = _summed([True, False], np.array([yes, 1 - yes]))
        else:
            last = columns[field.name][offsets[1:] - 1]
            absent = missing_mask(last)
            missing[field.name], quantiles[field.name] = float(absent.mean()), _quantiles(last[~absent])
    return NextStep(float(end), probabilities, quantiles, missing)


@jax.jit
def _last_step(net: Any, inputs: tuple[Array, ...], values: tuple[Array, ...]) -> tuple[Array, list[Any]]:
    """Of (T, B) steps, the probability of an end before the last one, and the means of its fields but numbers.

    The mean of a member of a block is that given the members before it; NaN where the block is missing.
    """
    steps, rows = values[0].shape[:2]
    state, ready = start_decoding(net, inputs, steps * rows)
    output, _ = teacher_forced(net, ready, state, values, net.masks())
    hazard = net.hazard(jax.tree.map(lambda part: part[-1:], output), jnp.array([[steps - 1]]))[0, 0]
    context = net.outputs.begin(jax.tree.map(lambda part: part[-1], output))
    means: list[Any] = []
    for j, (dist, value) in enumerate(zip(net.distributions, values, strict=True)):
        event, params = dist.event_shape, net.outputs.params(context, j)
        if event.members is not None:
            means.append(conditional_means(dist, params, value[-1]))
        else:
            means.append(dist.mean(params) if event.symbols is not None else None)
        context = net.condition_on(ready, context, j, value[-1])
    return jax.nn.sigmoid(hazard), means


def _summed(values: list[Any], shares: NDArray[np.float64]) -> dict[Any, float]:
    """The sum of the shares of every value, the largest first."""
    sums: dict[Any, float] = {}
    for value, share in zip(values, shares.tolist(), strict=True):
        sums[value] = sums.get(value, 0.0) + share
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _quantiles(values: NDArray[Any]) -> dict[float, Any]:
    """Values of the sample itself, so that whole numbers stay whole and dates stay dates."""
    if not len(values):
        return dict.fromkeys(STEP_QUANTILES)
    ordered = np.sort(values)
    return {q: ordered[min(len(ordered) - 1, int(q * len(ordered)))].item() for q in STEP_QUANTILES}


def hidden_states(fitted: Fitted, encoded: Encoded) -> list[NDArray[np.float32]]:
    """By sequence, (T + 1, H) hidden states of the top layer: row t is the state after t steps."""
    found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(encoded)
    for bucket, rows in zip(*to_buckets(encoded, stops=True), strict=True):
        for at in range(0, len(rows), MAX_SCORE_ROWS):
            part = np.arange(at, min(at + MAX_SCORE_ROWS, len(rows)))
            inputs, values, lengths = timewise(bucket.take(part))
            states = np.swapaxes(np.asarray(_states(fitted.net, inputs, values)), 0, 1)
            for row, state, length in zip(rows[part], states, np.asarray(lengths), strict=True):
                found[row] = state[: length + 1].copy()
    return found


@jax.jit
def _states(net: Any, inputs: tuple[Array, ...], values: tuple[Array, ...]) -> Array:
    state, ready = start_decoding(net, inputs, values[0].shape[0] * values[0].shape[1])
    return teacher_forced(net, ready, state, values, net.masks())[0].h


def encode_inputs(fitted: Fitted, inputs: Any) -> InputEncoding:
    """The context and the initial states of a table of inputs."""
    encoded = tuple(map(to_single_precision, fitted.codec.encode_inputs(inputs)))
    state, context = jax.jit(lambda net, rows: net.encode(rows))(fitted.net, encoded)
    return InputEncoding(np.asarray(context), *(np.moveaxis(np.asarray(part), 0, 1) for part in (state.h, state.c)))
