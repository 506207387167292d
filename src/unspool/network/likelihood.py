"""The log-probability of sequences: under teacher forcing, and when the network reads its own output."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from unspool.network.decoder import DecoderState, Net, Precomputed
from unspool.network.distributions.where_active import active_as
from unspool.network.dropout import Masks
from unspool.network.outputs import DecoderOutput


def start_decoding(
    net: Net, inputs: tuple[Array, ...], count: int, mask: Float[Array, "B C"] | None = None
) -> tuple[DecoderState, Precomputed]:
    """The state before step 0, and what no step changes.

    About `count` values will be fed back, see `Net.precompute`; `mask` is dropout of the context.
    """
    state, context = net.encode(inputs, mask)
    return DecoderState(state, net.start_feedback(inputs)), net.precompute(context, count)


def teacher_forced(
    net: Net, ready: Precomputed, state: DecoderState, values: tuple[Array, ...], masks: Masks
) -> tuple[DecoderOutput, DecoderState]:
    """The output of steps that read the data, one (T, B) array per step field, and the state after them."""
    before = jax.tree.map(lambda a: jnp.roll(a, 1, 0), values)
    feedback = net.feed_back_sequence(ready, before, state.feedback)
    output, lstm = net.unroll(ready, feedback, state.lstm, masks)
    last = jax.tree.map(lambda a: a[-1], values)
    return output, DecoderState(lstm, net.feed_back(ready, last, feedback.last_of(state.feedback)))


def free_running(
    net: Net,
    ready: Precomputed,
    state: DecoderState,
    values: tuple[Array, ...],
    masks: Masks,
    own: Float[Array, "T B"],
    uniforms: Float[Array, "T B U"] | None = None,
) -> tuple[DecoderOutput, DecoderState]:
    """As `teacher_forced`, but step t + 1 reads the network's own output of step t where `own[t]` is one.

    The output is soft and so the whole unroll differentiable: of a category the expected embedding, of labels about
    their means; of a number the sample that the uniforms give (Kingma & Welling 2014, arXiv:1312.6114), or its mean
    without them. Between zero and one, `own` mixes it with the data.
    """

    def one_step(
        state: DecoderState, now: tuple[tuple[Array, ...], Array, Array | None]
    ) -> tuple[DecoderState, DecoderOutput]:
        truth, share, u = now
        output, lstm = net.step(ready, state.feedback, state.lstm, masks)
        generated: tuple[Array, ...] = ()
        context = net.outputs.begin(output)
        for j, dist in enumerate(net.distributions):
            params = net.outputs.params(context, j)
            soft = u is None or not dist.event_shape.one_number
            value = dist.mean(params) if soft else dist.sample(params, u[:, net.shape.uniforms_of(j)])  # type: ignore[index]
            generated += (active_as(dist, truth[j], value),)
            context = net.condition_on(ready, context, j, generated[j])
        own, data = (net.feed_back(ready, one, state.feedback) for one in (generated, truth))
        share = share[:, None]
        feedback = jax.tree.map(lambda a, b: share * a + (1 - share) * b, own, data)
        return DecoderState(lstm, feedback), output

    state, output = jax.lax.scan(one_step, state, (values, own, uniforms))
    return output, state


class SequenceTerms(NamedTuple):
    """Log-probabilities of some steps, see `Net.log_prob`, and the state after them."""

    fields: Float[Array, "T B F"]
    stop: Float[Array, "T B"] | None
    state: DecoderState


def sequence_log_prob(
    net: Net,
    inputs: tuple[Array, ...],
    values: tuple[Array, ...],
    lengths: Int[Array, " B"],
    masks: Masks,
    own: Float[Array, "T B"] | None = None,
    uniforms: Float[Array, "T B U"] | None = None,
    first: Int[Array, ""] | int = 0,
    state: DecoderState | None = None,
) -> SequenceTerms:
    """Log-probability of sequences, or of a stretch of their steps, per field and step, and of the stop.

    Where the network learns when to stop, T is one more than the longest sequence: one decision to stop more than
    steps.

    Args:
        net: the network.
        inputs: one array per input field, B rows.
        values: one (T, B) array per step field.
        lengths: steps of every sequence.
        masks: dropout, see `Net.masks`.
        own: steps that read the network's own output, see `free_running`; `None` for teacher forcing.
        uniforms: see `free_running`.
        first: number of the first step; past zero, the sequences go on from `state`.
        state: after the steps before, or `None`.
    """
    T, B = values[0].shape[:2]
    steps = first + jnp.arange(T)
    begin, ready = start_decoding(net, inputs, T * B if own is None else B, masks.context)
    if state is not None:
        begin = jax.tree.map(lambda new, old: jnp.where(first == 0, new, old), begin, state)
    if own is None:
        output, state = teacher_forced(net, ready, begin, values, masks)
    else:
        output, state = free_running(net, ready, begin, values, masks, own, uniforms)
    return SequenceTerms(*net.log_prob(ready, output, values, steps, lengths), state)
