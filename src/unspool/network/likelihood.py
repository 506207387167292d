"""The log-probability of sequences: whole ones, or a stretch of steps after another."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from unspool.network.decoder import DecoderOutput, DecoderState, Masks, Net, Precomputed

Terms = tuple[tuple[Float[Array, "T B"], ...], Float[Array, "T B"] | None]
"""Log-probabilities per field and step, and of the stop where it is learned."""


def start_decoding(
    net: Net, inputs: tuple[Array, ...], count: int, mask: Float[Array, "B C"] | None = None
) -> tuple[DecoderState, Precomputed]:
    """Where sequences begin, and what none of their steps changes.

    Args:
        net: the network.
        inputs: one array per input field, B rows.
        count: about how many values will be fed back, see `Net.prepare`.
        mask: dropout of the context.
    """
    state, context = net.encode(inputs, mask)
    return DecoderState(state, net.start_rows(context.shape[0])), net.prepare(context, count)


def teacher_forced(
    net: Net, ready: Precomputed, carry: DecoderState, values: tuple[Array, ...], masks: Masks
) -> tuple[DecoderOutput, DecoderState]:
    """Steps that read the data: what the distributions read, and where the next steps go on.

    Args:
        net: the network.
        ready: see `start_decoding`.
        carry: where these steps begin.
        values: one (T, B) array per step field.
        masks: dropout.
    """
    before = jax.tree.map(lambda a: jnp.roll(a, 1, 0), values)
    top, state = net.unroll(ready, net.along(ready, before, carry.x), carry.state, masks)
    return top, DecoderState(state, net.feed(ready, jax.tree.map(lambda a: a[-1], values)))


def free_running(
    net: Net,
    ready: Precomputed,
    carry: DecoderState,
    values: tuple[Array, ...],
    masks: Masks,
    own: Float[Array, "T B"],
    uniforms: Float[Array, "T B U"] | None = None,
) -> tuple[DecoderOutput, DecoderState]:
    """As `teacher_forced`, but step t + 1 reads the network's own output of step t where `own[t]` is one.

    The output is soft and so the whole unroll differentiable: of a category the expected embedding, of flags their
    means; of a number the draw that the uniforms make of its parameters (Kingma & Welling 2014, arXiv:1312.6114), or
    its mean without them. Between zero and one it is mixed with the data.
    """
    starts = [
        int(net.shape.stops) + sum(dist.num_uniforms for dist in net.shape.distributions[:j])
        for j in range(len(values))
    ]

    def advance(
        carry: DecoderState, now: tuple[tuple[Array, ...], Array, Array | None]
    ) -> tuple[DecoderState, DecoderOutput]:
        truth, share, u = now
        top, state = net.step(ready, carry.x, carry.state, masks)
        mine: tuple[Array, ...] = ()
        told = net.step_context(top)
        for j, (dist, at) in enumerate(zip(net.shape.distributions, starts, strict=True)):
            params = net.params(told, j)
            soft = u is None or dist.symbols is not None or dist.members is not None
            mine += (dist.mean(params) if soft else dist.sample(params, u[:, at : at + dist.num_uniforms]),)  # type: ignore[index]
            told = net.condition_on(ready, told, j, mine[j])
        mix = lambda own, given: share[:, None] * own + (1 - share)[:, None] * given  # noqa: E731
        return DecoderState(state, jax.tree.map(mix, net.feed(ready, mine), net.feed(ready, truth))), top

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
        own: which steps are read as the network's own output, see `free_running`; `None`: the data always.
        uniforms: see `free_running`.
    """
    T, B = values[0].shape[:2]
    carry, ready = start_decoding(net, inputs, T * B if own is None else B, masks.context)
    if own is None:
        top, _ = teacher_forced(net, ready, carry, values, masks)
    else:
        top, _ = free_running(net, ready, carry, values, masks, own, uniforms)
    return net.log_prob(ready, top, values, jnp.arange(T), lengths)
