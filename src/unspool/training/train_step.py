"""The compiled part of training: several updates of the weights in one dispatch."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, UInt32

from unspool.network.decoder import DecoderState, Net
from unspool.network.dropout import draw_masks
from unspool.network.likelihood import start_decoding
from unspool.runtime.devices import ROW_AXIS, device_lock, put_on_devices, shard_rows
from unspool.runtime.programs import program
from unspool.runtime.threefry import key_of
from unspool.training.batching import Bucket
from unspool.training.defaults import UpdateConfig
from unspool.training.scoring import Randomness, step_log_probs
from unspool.training.sharding import Packed, Sharding, pack, sum_over_shards


def optimiser(config: UpdateConfig) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, after clipping; the learning rate is applied outside.

    It moves packed weights, and is given those that decay as parameters.
    """
    decay = optax.add_decayed_weights(config.weight_decay) if config.weight_decay else optax.identity()
    return optax.chain(clip_by_norm(config.clip), optax.scale_by_adam(b2=0.99), decay)


def clip_by_norm(most: float) -> optax.GradientTransformation:
    """As `optax.clip_by_global_norm`, but by one factor, which a compiler multiplies where the gradient is read."""

    def clip(gradient: Any, _: Any) -> Any:
        norm = jnp.sqrt(sum((g * g).sum() for g in jax.tree.leaves(gradient)))
        factor = jnp.minimum(1.0, most / norm)
        return jax.tree.map(lambda g: g * factor, gradient)

    return optax.stateless(clip)


class TrainState(NamedTuple):
    """All that an update changes.

    Attributes:
        net: the weights that are moved.
        average: a running mean of them, which is what is scored and kept.
        moments: of the gradients.
    """

    net: Net
    average: Net
    moments: Any


class UpdateBatch(NamedTuple):
    """What K updates in one dispatch read.

    Attributes:
        data: rows of every update, (K, B, ...).
        first: first step of every update; past zero, it goes on where the update before it ended.
        weights: one, or zero for a padding row.
        rates: learning rates.
        shares: of steps that read the network's own output (scheduled feeding).
        mixes: shares of the weights after an update in their average.
        dropouts: shares of the network's rates of dropout at which its units are dropped.
    """

    data: Bucket
    first: Int[np.ndarray, " K"]
    weights: Float[np.ndarray, "K B"]
    rates: Float[np.ndarray, " K"]
    shares: Float[np.ndarray, " K"]
    mixes: Float[np.ndarray, " K"]
    dropouts: Float[np.ndarray, " K"]

    def on_devices(self, devices: int, processes: int = 1) -> "UpdateBatch":
        """The rows spread over devices, of several processes each its own; the rest on each device."""
        rows = put_on_devices((self.data, self.weights), devices, axis=1, processes=processes)
        whole = self.first, self.rates, self.shares, self.mixes, self.dropouts
        first, *numbers = put_on_devices(whole, devices, processes=processes)
        return UpdateBatch(rows[0], first, rows[1], *numbers)


def new_train_state(net: Net, config: UpdateConfig) -> TrainState:
    """The state before the first update."""
    # By NumPy, since JAX would compile a program for each shape; an update can't donate one buffer twice.
    average = jax.tree.map(lambda weights: jax.device_put(np.array(weights)), net)
    moments = jax.eval_shape(lambda net: optimiser(config).init(pack(net.split()[0])[0]), net)
    moments = jax.tree.map(lambda like: jax.device_put(np.zeros(like.shape, like.dtype)), moments)
    return TrainState(net, average, moments)


@program(static=["config", "sharding"], donate=["state"])
def update(
    config: UpdateConfig,
    sharding: Sharding,
    state: TrainState,
    updates: UpdateBatch,
    last: Int[Array, ""],
    scale: Float[Array, ""],
    key: UInt32[Array, "2"],
    number: Int[Array, ""],
    first: Int[Array, ""],
) -> tuple[TrainState, Float[Array, " K"]]:
    """The updates from `first` up to `last`, and the sum of the log-probabilities that each of them saw.

    `updates` has the data and rates of these and of others, which are not run. In how many calls they are run changes
    nothing, but a segment needs the call of those before it. The buffers of `state` are donated. `scale` turns a sum
    over a batch into the mean per step over the data: one constant, not the count of the batch, so that a step weighs
    the same in whichever bucket and batch it falls. The key and the number of the first update that `updates` holds
    decide dropout, coins and samples.
    """
    rows, whole = P(None, ROW_AXIS), P()
    parts = UpdateBatch(rows, whole, rows, whole, whole, whole, whole)  # type: ignore[arg-type]
    specs = (whole, parts, whole, whole, whole, whole)
    local = shard_rows(partial(_updates, config, sharding), sharding.devices, specs, (whole, whole), sharding.processes)
    keys = jnp.stack(key_of((key[0], key[1]), number, jnp.arange(len(updates.first))), -1)
    return local(state, updates, first, last, scale, keys)


def _updates(
    config: UpdateConfig,
    sharding: Sharding,
    state: TrainState,
    updates: UpdateBatch,
    first: Array,
    last: Array,
    scale: Array,
    keys: Array,
) -> tuple[TrainState, Array]:
    """What every device does with its rows."""
    own = sharding.shards // sharding.devices
    here = jax.lax.axis_index(ROW_AXIS) * own + jnp.arange(own)
    rows = updates.data, updates.weights
    data, weights = jax.tree.map(lambda a: a.reshape(a.shape[0], own, -1, *a.shape[2:]), rows)
    transform = optimiser(config)

    moved, constants = state.net.split()
    packed, unpack = pack(moved)
    # What a wide component explains, the others would hardly learn from.
    learned_from = constants.without_wide()

    def shard(
        net: Net, k: Array, carries: DecoderState | None, number: Array, s: Array
    ) -> tuple[tuple[Packed, Array], Any]:
        """Packed gradient of one shard of update k: its loss summed, not averaged, so that shards add up."""
        piece, weight = jax.tree.map(lambda a: a[k, s], (data, weights))
        carry = None if carries is None else jax.tree.map(lambda a: jax.lax.stop_gradient(a[s]), carries)
        rows = number * weight.shape[0] + jnp.arange(weight.shape[0])
        own = None if config.feeding == "teacher" else Randomness(keys[k], rows, updates.shares[k])
        masks = draw_masks(net.shape.options, net.shape.size, keys[k], rows, updates.dropouts[k])

        def loss(net: Net) -> tuple[Array, tuple[Array, DecoderState]]:
            whole = net.with_constants(learned_from)
            if config.bfloat16:
                whole = with_recurrence(whole, jnp.bfloat16)
            terms, after = step_log_probs(whole, piece, updates.first[k], carry, masks, own)
            total = (terms.sum((0, -1)) * weight).sum()
            return -total * scale, (total, after)

        (_, (seen, after)), gradient = jax.value_and_grad(loss, has_aux=True)(net)
        return (pack(gradient)[0], seen), after

    def once(k: Array, so_far: tuple[Packed, Packed, Any, Array, Any]) -> tuple[Packed, Packed, Any, Array, Any]:
        packed, average, moments, total, carries = so_far
        net = unpack(packed)
        (parts, seen), after = jax.lax.map(lambda at: shard(net, k, carries, *at), (here, jnp.arange(own)))
        matrices, _ = pack(net.matrices())
        gradient, seen = sum_over_shards(sharding, (parts, seen))
        change, moments = transform.update(gradient, moments, matrices)
        packed = jax.tree.map(lambda w, d: w - updates.rates[k] * d, packed, change)
        average = jax.tree.map(lambda a, w: a + updates.mixes[k] * (w - a), average, packed)
        return packed, average, moments, total.at[k].set(seen), after if sharding.segmented else None

    carries = None
    if sharding.segmented:
        inputs = jax.tree.map(lambda a: a[0], data.inputs)
        shapes = jax.eval_shape(jax.vmap(lambda inputs: start_decoding(state.net, inputs, 1)[0]), inputs)
        carries = jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)
    unseen = jnp.zeros(len(updates.first))
    average, constants_of_average = state.average.split()
    begin = packed, pack(average)[0], state.moments, unseen, carries
    packed, mean, moments, total, _ = jax.lax.fori_loop(first, last, once, begin)
    nets = unpack(packed).with_constants(constants), unpack(mean).with_constants(constants_of_average)
    return TrainState(*nets, moments), total


def with_recurrence(net: Net, precision: Any) -> Net:
    """A network whose recurrent weights have another precision, which is that of their products."""
    weights = [cell.R.astype(precision) for cell in net.cells]
    return eqx.tree_at(lambda net: [cell.R for cell in net.cells], net, weights)


def copy_tree(tree: Any) -> Any:
    """A copy whose buffers no donating call can take away."""
    with device_lock(max(len(leaf.devices()) for leaf in jax.tree.leaves(tree))):
        return jax.block_until_ready(_copied(tree))


@program()
def _copied(tree: Any) -> Any:
    """One program for all leaves: eagerly, each shape would be one."""
    return jax.tree.map(jnp.copy, tree)
