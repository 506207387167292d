"""The log-probability of sequences: whole ones, or a stretch of steps after another."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from unspool.network.decoder import Carry, Masks, Net, Prepared, Top

Terms = tuple[tuple[Float[Array, "T B"], ...], Float[Array, "T B"] | None]
"""Log-probabilities per field and step, and of the stop where it is learned."""


def opening(
    net: Net, inputs: tuple[Array, ...], count: int, mask: Float[Array, "B C"] | None = None
) -> tuple[Carry, Prepared]:
    """Where sequences begin, and what none of their steps changes.

    Args:
        net: the network.
        inputs: one array per input field, B rows.
        count: about how many values will be fed back, see `Net.prepare`.
        mask: dropout of the context.
    """
    state, context = net.encode(inputs, mask)
    return Carry(state, net.start_rows(context.shape[0])), net.prepare(context, count)


def taught(net: Net, ready: Prepared, carry: Carry, values: tuple[Array, ...], masks: Masks) -> tuple[Top, Carry]:
    """Steps that read the data: what the heads read, and where the next steps go on.

    Args:
        net: the network.
        ready: see `opening`.
        carry: where these steps begin.
        values: one (T, B) array per step field.
        masks: dropout.
    """
    before = jax.tree.map(lambda a: jnp.roll(a, 1, 0), values)
    top, state = net.unroll(ready, net.along(ready, before, carry.x), carry.state, masks)
    return top, Carry(state, net.feed(ready, jax.tree.map(lambda a: a[-1], values)))


def rolled(
    net: Net,
    ready: Prepared,
    carry: Carry,
    values: tuple[Array, ...],
    masks: Masks,
    own: Float[Array, "T B"],
    uniforms: Float[Array, "T B U"] | None = None,
) -> tuple[Top, Carry]:
    """As `taught`, but step t + 1 reads the network's own output of step t where `own[t]` is one.

    The output is soft and so the whole unroll differentiable: of a category the expected embedding, of flags their
    means; of a number the draw that the uniforms make of its parameters (Kingma & Welling 2014, arXiv:1312.6114), or
    its mean without them. Between zero and one it is mixed with the data.
    """
    starts = [int(net.shape.stops) + sum(head.draws for head in net.shape.heads[:j]) for j in range(len(values))]

    def advance(carry: Carry, now: tuple[tuple[Array, ...], Array, Array | None]) -> tuple[Carry, Top]:
        truth, share, u = now
        top, state = net.step(ready, carry.x, carry.state, masks)
        mine: tuple[Array, ...] = ()
        told = net.told(top)
        for j, (head, at) in enumerate(zip(net.shape.heads, starts, strict=True)):
            params = net.params(told, j)
            soft = u is None or head.symbols is not None or head.members is not None
            mine += (head.mean(params) if soft else head.pick(params, u[:, at : at + head.draws]),)  # type: ignore[index]
            told = net.tell(ready, told, j, mine[j])
        mix = lambda own, given: share[:, None] * own + (1 - share)[:, None] * given  # noqa: E731
        return Carry(state, jax.tree.map(mix, net.feed(ready, mine), net.feed(ready, truth))), top

    carry, top = jax.lax.scan(advance, carry, (values, own, uniforms))
    return top, carry


def sequence_log_prob(
    net: Net,
    inputs: tuple[Array, ...],
    values: tuple[Array, ...],
    lengths: Int[Array, " B"],
    masks: Masks,
    own: Float[Array, "T B"] | None = None,
    uniforms: Float[Array, "T B U"] | None = None,
) -> Terms:
    """Log-probability of whole sequences, per field and step, and of the stop.

    Args:
        net: the network.
        inputs: one array per input field, B rows.
        values: one (T, B) array per step field. Where the network learns when to stop, T is one more than the longest
            sequence, since stopping is decided once more than there are steps.
        lengths: steps of every sequence.
        masks: dropout, see `Net.masks`.
        own: which steps are read as the network's own output, see `rolled`; `None`: the data always.
        uniforms: see `rolled`.
    """
    T, B = values[0].shape[:2]
    carry, ready = opening(net, inputs, T * B if own is None else B, masks.context)
    if own is None:
        top, _ = taught(net, ready, carry, values, masks)
    else:
        top, _ = rolled(net, ready, carry, values, masks, own, uniforms)
    return net.log_prob(ready, top, values, jnp.arange(T), lengths)
