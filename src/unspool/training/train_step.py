"""The compiled part of training: several updates of the weights in one dispatch."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PRNGKeyArray

from unspool.network.decoder import DecoderState, Net
from unspool.network.likelihood import start_decoding
from unspool.runtime.devices import ROW_AXIS, device_lock, mesh, put_on_devices
from unspool.training.batching import Bucket
from unspool.training.defaults import UpdateConfig
from unspool.training.scoring import Randomness, step_log_probs
from unspool.training.sharding import Sharding, sum_over_shards


def optimiser(config: UpdateConfig) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, after clipping; the learning rate is applied outside."""
    matrices = lambda net: jax.tree.map(lambda w: w.ndim > 1, net)  # noqa: E731
    decay = optax.add_decayed_weights(config.weight_decay, matrices) if config.weight_decay else optax.identity()
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.scale_by_adam(b2=0.99), decay)


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
    first: Int[np.ndarray, " K"]
    weights: Float[np.ndarray, "K B"]
    rates: Float[np.ndarray, " K"]
    shares: Float[np.ndarray, " K"]

    def placed(self, devices: int) -> "UpdateBatch":
        """The rows shared out over devices, the rest on each of them."""
        rows = put_on_devices((self.data, self.weights), devices, axis=1)
        first, rates, shares = put_on_devices((self.first, self.rates, self.shares), devices)
        return UpdateBatch(rows[0], first, rows[1], rates, shares)


def new_train_state(net: Net, config: UpdateConfig) -> TrainState:
    """A state that has seen nothing."""
    return TrainState(net, optimiser(config).init(net))


@partial(jax.jit, static_argnames=("config", "sharding"), donate_argnames="state")
def update(
    config: UpdateConfig,
    sharding: Sharding,
    state: TrainState,
    updates: UpdateBatch,
    count: Int[Array, ""],
    scale: Float[Array, ""],
    key: PRNGKeyArray,
) -> tuple[TrainState, Float[Array, ""]]:
    """`count` updates, and the sum of the log-probabilities that they saw.

    Args:
        config: what is compiled in.
        sharding: see `Sharding`.
        state: weights and moments; donated.
        updates: the data and rates of at least `count` updates; those after it are not run.
        count: updates to make.
        scale: the number that turns a sum over a batch into the mean per step over the data. It is one constant, not
            the count of the batch, so that a step weighs the same in whichever bucket and batch it falls.
        key: of dropout, coins and draws.
    """
    rows, whole = P(None, ROW_AXIS), P()
    parts = UpdateBatch(rows, whole, rows, whole, whole)  # type: ignore[arg-type]
    local = jax.shard_map(
        partial(_updates, config, sharding),
        mesh=mesh(sharding.devices),
        in_specs=(whole, parts, whole, whole, whole),
        out_specs=(whole, whole),
        check_vma=False,
    )
    return local(state, updates, count, scale, key)


def _updates(
    config: UpdateConfig,
    sharding: Sharding,
    state: TrainState,
    updates: UpdateBatch,
    count: Array,
    scale: Array,
    key: Array,
) -> tuple[TrainState, Array]:
    """What every device does with its rows."""
    own = sharding.shards // sharding.devices
    here = jax.lax.axis_index(ROW_AXIS) * own + jnp.arange(own)
    rows = updates.data, updates.weights
    data, weights = jax.tree.map(lambda a: a.reshape(a.shape[0], own, -1, *a.shape[2:]), rows)
    transform = optimiser(config)

    def shard(
        net: Net, k: Array, carries: DecoderState | None, number: Array, s: Array
    ) -> tuple[tuple[Net, Array], Any]:
        """Gradient of one shard of update k: its loss summed, not averaged, so that shards add up."""
        piece, weight = jax.tree.map(lambda a: a[k, s], (data, weights))
        carry = None if carries is None else jax.tree.map(lambda a: jax.lax.stop_gradient(a[s]), carries)
        rows = number * weight.shape[0] + jnp.arange(weight.shape[0])
        randomness = Randomness(jax.random.fold_in(key, k), rows, updates.shares[k])

        def loss(net: Net) -> tuple[Array, tuple[Array, DecoderState]]:
            total, after = _total(config, net, piece, weight, updates.first[k], carry, randomness)
            return -total * scale, (total, after)

        (_, (seen, after)), gradient = jax.value_and_grad(loss, has_aux=True)(net)
        return (gradient, seen), after

    def once(k: Array, so_far: tuple[TrainState, Array, Any]) -> tuple[TrainState, Array, Any]:
        state, total, carries = so_far
        parts, after = jax.lax.map(lambda at: shard(state.net, k, carries, *at), (here, jnp.arange(own)))
        gradient, seen = sum_over_shards(sharding, parts)
        change, moments = transform.update(gradient, state.moments, state.net)
        net = jax.tree.map(lambda w, d: w - updates.rates[k] * d, state.net, change)
        return TrainState(net, moments), total + seen, after if sharding.segmented else None

    carries = None
    if sharding.segmented:
        inputs = jax.tree.map(lambda a: a[0], data.inputs)
        shapes = jax.eval_shape(jax.vmap(lambda inputs: start_decoding(state.net, inputs, 1)[0]), inputs)
        carries = jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)
    state, total, _ = jax.lax.fori_loop(0, count, once, (state, jnp.zeros(()), carries))
    return state, total


def _total(
    config: UpdateConfig,
    net: Net,
    data: Bucket,
    weight: Array,
    first: Array,
    carry: DecoderState | None,
    randomness: Randomness,
) -> tuple[Array, DecoderState]:
    """Log-probability of some rows' steps from `first` on, and where the steps after them go on."""
    mask_key, own_key = jax.random.split(randomness.key)
    own = None if config.feeding == "teacher" else randomness._replace(key=own_key)
    terms, after = step_log_probs(net, data, first, carry, net.masks(mask_key, randomness.rows), own)
    return (sum(term.sum(0) for term in terms) * weight).sum(), after


def copy_tree(tree: Any) -> Any:
    """A copy whose buffers a donating call can't take away."""
    with device_lock(max(len(leaf.devices()) for leaf in jax.tree.leaves(tree))):
        return jax.block_until_ready(jax.tree.map(jnp.copy, tree))
