"""The compiled parts of training: several updates in one dispatch, and the likelihood of many sequences."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.typing import NDArray

from unspool.encoding.codec import Encoded
from unspool.network.decoder import DecoderState, Masks, Net, Precomputed
from unspool.network.likelihood import free_running, start_decoding, teacher_forced
from unspool.network.outputs import DecoderOutput
from unspool.runtime.devices import ROW_AXIS, device_lock, mesh, put_on_devices
from unspool.runtime.threefry import uniforms
from unspool.training.batching import Bucket, round_up, segment_steps, to_buckets
from unspool.training.sharding import SCORING_SHARDS, Sharding, choose_sharding, sum_over_shards

Feeding = Literal["teacher", "scheduled", "free"]
MAX_SCORE_CELLS = 2**24
"""Numbers that one dispatch of scoring may hold in its largest array."""


@dataclass(frozen=True)
class UpdateConfig:
    """What the compiled update depends on besides arrays.

    Attributes:
        feeding: who supplies the previous step.
        clip: largest global norm of a gradient.
        weight_decay: of the matrices.
    """

    feeding: Feeding
    clip: float
    weight_decay: float

    def optimiser(self) -> optax.GradientTransformation:
        """Adam with decoupled weight decay, after clipping; the learning rate is applied outside."""
        matrices = lambda net: jax.tree.map(lambda w: w.ndim > 1, net)  # noqa: E731
        return optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.scale_by_adam(b2=0.99),
            optax.add_decayed_weights(self.weight_decay, matrices) if self.weight_decay else optax.identity(),
        )


class TrainState(NamedTuple):
    """All that an update changes."""

    net: Net
    moments: Any


class UpdateBatch(NamedTuple):
    """What K updates in one dispatch read.

    Attributes:
        data: rows of every update, (K, B, ...).
        first: first step of every update; past zero, it goes on where the update before it ended.
        weights: one, or zero for a row that only fills the shape.
        rates: learning rate of every update.
        shares: share of steps that read the network's own output, of every update (scheduled feeding).
    """

    data: Bucket
    first: Int[NDArray[np.int32], " K"]
    weights: Float[NDArray[np.float32], "K B"]
    rates: Float[NDArray[np.float32], " K"]
    shares: Float[NDArray[np.float32], " K"]

    def placed(self, devices: int) -> "UpdateBatch":
        """The rows shared out over devices, the rest on each of them."""
        rows = put_on_devices((self.data, self.weights), devices, axis=1)
        first, rates, shares = put_on_devices((self.first, self.rates, self.shares), devices)
        return UpdateBatch(rows[0], first, rows[1], rates, shares)


def new_train_state(net: Net, recipe: UpdateConfig) -> TrainState:
    """A learner that has seen nothing."""
    return TrainState(net, recipe.optimiser().init(net))


@partial(jax.jit, static_argnames=("recipe", "spread"), donate_argnames="learner")
def update(
    recipe: UpdateConfig,
    spread: Sharding,
    learner: TrainState,
    updates: UpdateBatch,
    count: Int[Array, ""],
    scale: Float[Array, ""],
    key: PRNGKeyArray,
) -> tuple[TrainState, Float[Array, ""]]:
    """`count` updates, and the sum of the log-probabilities that they saw.

    Args:
        recipe: what is compiled in.
        spread: see `Sharding`.
        learner: weights and moments; donated.
        updates: the data and rates of at least `count` updates; those after it are not run.
        count: updates to make.
        scale: the number that turns a sum over a batch into the mean per step over the data. It is one constant, not
            the count of the batch, so that a step weighs the same in whichever bucket and batch it falls.
        key: of dropout, coins and draws.
    """
    rows, whole = P(None, ROW_AXIS), P()
    parts = UpdateBatch(rows, whole, rows, whole, whole)  # type: ignore[arg-type]
    local = jax.shard_map(
        partial(_updates, recipe, spread),
        mesh=mesh(spread.devices),
        in_specs=(whole, parts, whole, whole, whole),
        out_specs=(whole, whole),
        check_vma=False,
    )
    return local(learner, updates, count, scale, key)


def _updates(
    recipe: UpdateConfig,
    spread: Sharding,
    learner: TrainState,
    updates: UpdateBatch,
    count: Array,
    scale: Array,
    key: Array,
) -> tuple[TrainState, Array]:
    """What every device does with its rows."""
    own = spread.shards // spread.devices
    here = jax.lax.axis_index(ROW_AXIS) * own + jnp.arange(own)
    cut = lambda a: a.reshape(a.shape[0], own, -1, *a.shape[2:])  # noqa: E731
    data, weights = jax.tree.map(cut, (updates.data, updates.weights))
    optimiser = recipe.optimiser()

    def shard(
        net: Net, k: Array, carries: DecoderState | None, number: Array, s: Array
    ) -> tuple[tuple[Net, Array], Any]:
        """Gradient of one shard of update k: its loss summed, not averaged, so that shards add up."""
        piece, weight = jax.tree.map(lambda a: a[k, s], (data, weights))
        carry = None if carries is None else jax.tree.map(lambda a: jax.lax.stop_gradient(a[s]), carries)
        rows = number * weight.shape[0] + jnp.arange(weight.shape[0])
        randomness = Randomness(jax.random.fold_in(key, k), rows, updates.shares[k])

        def loss(net: Net) -> tuple[Array, tuple[Array, DecoderState]]:
            total, after = _total(recipe, net, piece, weight, updates.first[k], carry, randomness)
            return -total * scale, (total, after)

        (_, (seen, after)), gradient = jax.value_and_grad(loss, has_aux=True)(net)
        return (gradient, seen), after

    def once(k: Array, state: tuple[TrainState, Array, Any]) -> tuple[TrainState, Array, Any]:
        learner, total, carries = state
        each = lambda at: shard(learner.net, k, carries, *at)  # noqa: E731
        parts, after = jax.lax.map(each, (here, jnp.arange(own)))
        gradient, seen = sum_over_shards(spread, parts)
        change, moments = optimiser.update(gradient, learner.moments, learner.net)
        net = jax.tree.map(lambda w, d: w - updates.rates[k] * d, learner.net, change)
        return TrainState(net, moments), total + seen, after if spread.segmented else None

    carries = None
    if spread.segmented:
        empty = lambda inputs: start_decoding(learner.net, inputs, 1)[0]  # noqa: E731
        shapes = jax.eval_shape(jax.vmap(empty), jax.tree.map(lambda a: a[0], data.inputs))
        carries = jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)
    learner, total, _ = jax.lax.fori_loop(0, count, once, (learner, jnp.zeros(()), carries))
    return learner, total


def timewise(data: Bucket) -> tuple[tuple[Array, ...], tuple[Array, ...], Array]:
    """Inputs, values and lengths as the network reads them: time is the first axis of the values."""
    values = tuple(jnp.swapaxes(jnp.asarray(a), 0, 1) for a in data.values)
    return tuple(jnp.asarray(a) for a in data.inputs), values, jnp.asarray(data.lengths)


def read(net: Net, data: Bucket) -> tuple[Precomputed, DecoderOutput]:
    """What the distributions read of whole sequences whose true steps are fed back, without dropout."""
    inputs, values, _ = timewise(data)
    T, B = values[0].shape[:2]
    carry, ready = start_decoding(net, inputs, T * B)
    return ready, teacher_forced(net, ready, carry, values, net.masks())[0]


class Randomness(NamedTuple):
    """What is random in one update: of which key, for which of its rows, and the share of the network's own output."""

    key: Array
    rows: Int[Array, " B"]
    share: Float[Array, ""]


def _total(
    recipe: UpdateConfig,
    net: Net,
    data: Bucket,
    weight: Array,
    first: Array,
    carry: DecoderState | None,
    randomness: Randomness,
) -> tuple[Array, DecoderState]:
    """Log-probability of some rows' steps from `first` on, and where the steps after them go on."""
    mask_key, own_key = jax.random.split(randomness.key)
    own = None if recipe.feeding == "teacher" else randomness._replace(key=own_key)
    terms, after = _terms(net, data, first, carry, net.masks(mask_key, randomness.rows), own)
    return (sum(term.sum(0) for term in terms) * weight).sum(), after


def _terms(
    net: Net, data: Bucket, first: Array, carry: DecoderState | None, masks: Masks, own: Randomness | None
) -> tuple[tuple[Float[Array, "T B"], ...], DecoderState]:
    """Log-probability of steps from `first` on, of every field and of stopping; and where the steps after them go on.

    Args:
        net: the network.
        data: the rows.
        first: number of the first step; past zero, the rows go on from `carry`.
        carry: where the steps before ended, or `None`.
        masks: of dropout.
        own: the coins and draws of steps that read the network's own output, or `None` where all read the data.
    """
    inputs, values, lengths = timewise(data)
    T, B = values[0].shape[:2]
    steps = first + jnp.arange(T)
    begin, ready = start_decoding(net, inputs, T * B if own is None else B, masks.context)
    if carry is not None:
        begin = jax.tree.map(lambda new, old: jnp.where(first == 0, new, old), begin, carry)
    if own is None:
        top, after = teacher_forced(net, ready, begin, values, masks)
    else:
        top, after = free_running(net, ready, begin, values, masks, *coins(net, own, steps))
    fields, stop = net.log_prob(ready, top, values, steps, lengths)
    return (*fields, *(() if stop is None else (stop,))), after


def coins(
    net: Net, randomness: Randomness, steps: Int[Array, " T"]
) -> tuple[Float[Array, "T B"], Float[Array, "T B U"]]:
    """Which steps read the network's own output, and the uniforms of its draws, row by row."""
    seed = jax.random.key_data(randomness.key)
    drawn = uniforms(seed, randomness.rows, jnp.zeros_like(randomness.rows), steps, 1 + net.shape.num_uniforms)
    return (drawn[..., 0] < randomness.share).astype(jnp.float32), drawn[..., 1:]


@partial(jax.jit, static_argnames=("free", "edges", "spread"))
def _score(
    net: Net,
    batch: Bucket,
    rows: Int[Array, " B"],
    first: Int[Array, ""],
    carry: DecoderState | None,
    free: bool,
    edges: tuple[int, ...],
    spread: Sharding,
) -> tuple[Float[Array, "B *K F1"], DecoderState]:
    """Sums over steps from `first` on, of the rows with these numbers; and where the steps after them go on."""

    def shard(
        net: Net, first: Array, data: Bucket, rows: Array, carry: DecoderState | None
    ) -> tuple[Array, DecoderState]:
        own = Randomness(jax.random.key(0), rows, jnp.ones(())) if free else None
        terms, after = _terms(net, data, first, carry, net.masks(), own)
        steps = first + jnp.arange(len(terms[0]))
        return jnp.stack([_banded(term, steps, edges) for term in terms], -1), after

    sums, after = jax.shard_map(
        lambda net, first, *parts: jax.lax.map(lambda part: shard(net, first, *part), parts),
        mesh=mesh(spread.devices),
        in_specs=(P(), P(), P(ROW_AXIS), P(ROW_AXIS), P(ROW_AXIS)),
        out_specs=P(ROW_AXIS),
        check_vma=False,
    )(net, first, *jax.tree.map(lambda a: a.reshape(spread.shards, -1, *a.shape[1:]), (batch, rows)), carry)
    return sums.reshape(-1, *sums.shape[2:]), after


def _banded(term: Float[Array, "T B"], steps: Int[Array, " T"], edges: tuple[int, ...]) -> Float[Array, "B *K"]:
    """Sums over all steps, or over those of each band: one ends before every edge, and the last holds the rest."""
    if not edges:
        return term.sum(0)
    band = jnp.searchsorted(jnp.array(edges), steps, side="right")
    return jnp.einsum("tb,tk->bk", term, jax.nn.one_hot(band, len(edges) + 1))


def score(
    net: Net, bucket: Bucket, *, free: bool = False, most: int | None = None, edges: tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """Log-probability of every sequence in the network's units: a column per step field, and one for the stops.

    Sequences are scored in batches of a power of two, so that few shapes are compiled, and long ones segment by
    segment, so that memory does not grow with their length; a sum over a sequence depends on none of that.

    Args:
        net: the network.
        bucket: the sequences.
        free: whether every step reads the network's own output in place of the data.
        most: see `choose_sharding`.
        edges: steps at which another band begins, rising.

    Returns:
        (N, F) or, with the stops, (N, F + 1); given K edges, the same of each of K + 1 bands, on an axis in between.
    """
    segment = segment_steps(bucket.steps, None) or bucket.steps
    steps = round_up(bucket.steps, segment)
    values = tuple(np.pad(a, ((0, 0), (0, steps - bucket.steps), *((0, 0),) * (a.ndim - 2))) for a in bucket.values)
    bucket = bucket._replace(values=values)
    widest = max([4 * net.shape.size, *(dist.num_params for dist in net.shape.distributions)])
    most = max(1, min(MAX_SCORE_CELLS // (segment * widest), 1024))
    size = 1 << (min(bucket.examples, most).bit_length() - 1)
    spread = choose_sharding(size, net.shape.size, SCORING_SHARDS, most)
    net = put_on_devices(net, spread.devices)
    out = []
    for at in range(0, bucket.examples, size):
        rows = np.minimum(np.arange(at, at + size, dtype=np.int32), bucket.examples - 1)
        total, carry = np.zeros(()), None
        for first in range(0, steps, segment):
            piece = put_on_devices((bucket.take(rows, slice(first, first + segment)), rows), spread.devices, axis=0)
            with device_lock(spread.devices):
                part, carry = _score(net, *piece, np.int32(first), carry, free, edges, spread)
                total = total + np.asarray(part, np.float64)
        out.append(total[: bucket.examples - at])
    return np.concatenate(out)


def score_all(net: Net, encoded: Encoded, edges: tuple[int, ...] = ()) -> NDArray[np.float64]:
    """As `score`, of sequences of any lengths in their order."""
    bands = (len(edges) + 1,) if edges else ()
    out = np.zeros((len(encoded), *bands, len(encoded.steps) + net.shape.stops))
    for bucket, rows in zip(*to_buckets(encoded, net.shape.stops, multiple=8), strict=True):
        out[rows] = score(net, bucket, edges=edges)
    return out


def copy_tree(tree: Any) -> Any:
    """A copy whose buffers a donating call can't take away."""
    with device_lock(max(len(leaf.devices()) for leaf in jax.tree.leaves(tree))):
        return jax.block_until_ready(jax.tree.map(jnp.copy, tree))


def arrays_by_name(learner: TrainState) -> dict[str, NDArray[Any]]:
    """Arrays of a learner by name, for a checkpoint."""
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(learner)}


def from_arrays(like: Any, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Any:
    """A tree of the same structure as `like` with the arrays of those names."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)]), like
    )
