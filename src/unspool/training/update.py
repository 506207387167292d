"""The compiled parts of training: several updates in one dispatch, and the likelihood of many sequences."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.typing import NDArray

from unspool.network.net import Net, rollout_log_prob, sequence_log_prob
from unspool.training.batches import Bucket

Feeding = Literal["teacher", "scheduled", "free"]
SCORE_CELLS = 2**24
"""Numbers that one dispatch of scoring may hold in its largest array."""


@dataclass(frozen=True)
class Recipe:
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


class Learner(NamedTuple):
    """All that an update changes."""

    net: Net
    moments: Any


def start(net: Net, recipe: Recipe) -> Learner:
    """A learner that has seen nothing."""
    return Learner(net, recipe.optimiser().init(net))


def terms(
    net: Net, inputs: tuple[Array, ...], values: tuple[Array, ...], lengths: Array, masks: Any, own: Array | None
) -> tuple[tuple[Array, ...], Array | None]:
    """Log-probabilities under the feeding that `own` says, see `rollout_log_prob`."""
    if own is None:
        return sequence_log_prob(net, inputs, values, lengths, masks)
    return rollout_log_prob(net, inputs, values, lengths, masks, own)


@partial(jax.jit, static_argnames="recipe", donate_argnames="learner")
def update(
    recipe: Recipe,
    learner: Learner,
    bucket: Bucket,
    rows: Int[Array, "K B"],
    weights: Float[Array, "K B"],
    rates: Float[Array, " K"],
    shares: Float[Array, " K"],
    count: Int[Array, ""],
    scale: Float[Array, ""],
    key: PRNGKeyArray,
) -> tuple[Learner, Float[Array, ""]]:
    """`count` updates, and the sum of the log-probabilities that they saw.

    Args:
        recipe: what is compiled in.
        learner: weights and moments; donated.
        bucket: the data; rows are gathered from it inside.
        rows: rows of every update.
        weights: one, or zero for a row that only fills the shape.
        rates: learning rate of every update.
        shares: share of steps that read the network's own output, of every update (scheduled feeding).
        count: updates to make; those after it are not run.
        scale: the number that turns a sum over a batch into the mean per step over the data. It is one constant, not
            the count of the batch, so that a step weighs the same in whichever bucket and batch it falls.
        key: of dropout and of the coins.
    """
    optimiser = recipe.optimiser()

    def loss(net: Net, k: Array) -> tuple[Array, Array]:
        take = lambda a: a[rows[k]]  # noqa: E731
        inputs, values = (
            jax.tree.map(take, bucket.inputs),
            jax.tree.map(lambda a: jnp.swapaxes(take(a), 0, 1), bucket.values),
        )
        mask_key, coin_key = jax.random.split(jax.random.fold_in(key, k))
        own = None
        if recipe.feeding != "teacher":
            own = jnp.ones(values[0].shape[:2])
        if recipe.feeding == "scheduled":
            own = jax.random.bernoulli(coin_key, shares[k], values[0].shape[:2]).astype(jnp.float32)
        masks = net.masks(mask_key, rows.shape[1])
        fields, stop = terms(net, inputs, values, take(bucket.lengths), masks, own)
        total = sum((field.sum(0) for field in fields), jnp.zeros(rows.shape[1]))
        total = total if stop is None else total + stop.sum(0)
        total = (total * weights[k]).sum()
        return -total * scale, total

    def once(k: Array, carry: tuple[Learner, Array]) -> tuple[Learner, Array]:
        learner, seen = carry
        (_, total), gradient = jax.value_and_grad(loss, has_aux=True)(learner.net, k)
        change, moments = optimiser.update(gradient, learner.moments, learner.net)
        net = jax.tree.map(lambda w, d: w - rates[k] * d, learner.net, change)
        return Learner(net, moments), seen + total

    return jax.lax.fori_loop(0, count, once, (learner, jnp.zeros(())))


@partial(jax.jit, static_argnames="feeding")
def _score(net: Net, batch: Bucket, feeding: Feeding) -> Float[Array, "B F1"]:
    values = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), batch.values)
    own = jnp.ones(values[0].shape[:2]) if feeding == "free" else None
    masks = net.masks(None, batch.examples)
    fields, stop = terms(net, batch.inputs, values, batch.lengths, masks, own)
    return jnp.stack([column.sum(0) for column in (*fields, *(() if stop is None else (stop,)))], -1)


def score(net: Net, bucket: Bucket, feeding: Feeding = "teacher") -> NDArray[np.float64]:
    """Log-probability of every sequence in the network's units: a column per step field, and one for the stops.

    Sequences are scored in batches of a power of two, so that few shapes are compiled; a sum over a sequence doesn't
    depend on what is beside or behind it.
    """
    widest = max([4 * net.shape.size, *(head.size for head in net.shape.heads)])
    most = max(1, min(SCORE_CELLS // (bucket.steps * widest), 1024))
    size = 1 << (min(bucket.examples, most).bit_length() - 1)
    out = []
    for at in range(0, bucket.examples, size):
        rows = np.minimum(np.arange(at, at + size), bucket.examples - 1)
        batch = jax.tree.map(lambda a: a[rows], bucket)  # noqa: B023
        out.append(np.asarray(_score(net, batch, feeding), np.float64)[: bucket.examples - at])
    return np.concatenate(out)


def copied(tree: Any) -> Any:
    """A copy whose buffers a donating call can't take away."""
    return jax.tree.map(jnp.copy, tree)


def leaves(learner: Learner) -> dict[str, NDArray[Any]]:
    """Arrays of a learner by name, for a checkpoint."""
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(learner)}


def rebuilt(like: Any, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Any:
    """A tree of the same structure as `like` with the arrays of those names."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)]), like
    )
