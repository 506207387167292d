"""What a step reads of the step before it, and the running sums that go from step to step with it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from unspool.network.cumulative import CumulativeRule, PartRule, ValueBefore
from unspool.network.fields import FieldGroup
from unspool.network.lstm import Gathered


class Feedback(NamedTuple):
    """What a step reads of the step before it.

    Attributes:
        gates: added to the pre-activations of the first layer.
        direct: added to the parameters of all distributions, side by side, and behind them to the hazard of stopping.
            With it a distribution holds a first-order Markov chain or autoregression as it is, the hazard an end that
            a last symbol decides, and the recurrence learns what goes beyond.
        numbers: by kind of field that has changes (`FieldLayout.changing`), its numbers; NaN where there is none.
        sums: by kind of field whose running sums are read (`FieldLayout.summing`), these; NaN before the first value.
    """

    gates: Float[Array, "*T B Z"]
    direct: Float[Array, "*T B D"]
    numbers: tuple[Float[Array, "*T B F"], ...] = ()
    sums: tuple[Float[Array, "*T B F"], ...] = ()


class FeedbackSequence(NamedTuple):
    """`Feedback` of all steps; the gates' part as `unroll` takes it."""

    gates: tuple[Float[Array, "T B Z"] | Gathered, ...]
    direct: Float[Array, "T B D"]
    numbers: tuple[Float[Array, "T B F"], ...] = ()
    sums: tuple[Float[Array, "T B F"], ...] = ()

    def last_of(self, before: Feedback) -> Feedback:
        """What the last step carries on, beside what `before` has."""
        numbers, sums = (tuple(part[-1] for part in parts) for parts in (self.numbers, self.sums))
        return before._replace(numbers=numbers, sums=sums)


def sums_before(
    group: FieldGroup, given: Sequence[ValueBefore | None], inputs: tuple[Array, ...]
) -> Float[Array, "B F"]:
    """The running sums of a group before step 0: those of inputs, where `given` has by field how they become one."""
    none = jnp.full(inputs[0].shape[0], jnp.nan if getattr(group.cumulative, "parts", 0) else 0.0)
    known = [given[j].of(inputs) if given and given[j] else none for j in group.fields]  # type: ignore[union-attr]
    return jnp.stack([jnp.where(jnp.isnan(total), none, total) for total in known], -1)


def added_to_sum(
    group: FieldGroup, groups: Sequence[FieldGroup], values: Sequence[Array]
) -> tuple[Float[Array, "*B F"], Bool[Array, "*B F"]]:
    """What the values of a step add to the running sums of a group, and which of these begin with it.

    Args:
        group: fields with a `CumulativeRule`.
        groups: all groups.
        values: by field.
    """
    rule = group.cumulative
    assert isinstance(rule, CumulativeRule)  # noqa: S101  # of fields whose sums are read
    z = jnp.stack([values[j] for j in group.fields], -1)
    begins = jnp.isinf(z)
    added = jnp.where(jnp.isfinite(z), rule.axis.to_original(jnp.where(begins, 0.0, z)), 0.0)
    if rule.parts:
        moments = [_moment(groups, values, range(j + 1, j + 1 + rule.parts)) for j in group.fields]
        added = jnp.where(begins, jnp.stack(moments, -1), added)
    return added, begins


def _moment(groups: Sequence[FieldGroup], values: Sequence[Array], parts: range) -> Float[Array, "*B"]:
    """The running sum that the parts of a first moment make together."""
    total = jnp.zeros(())
    for k in parts:
        group = next(group for group in groups if k in group.fields)
        rule = group.of(group.fields.index(k))[1]
        assert isinstance(rule, PartRule)  # noqa: S101  # of a part
        value = values[k]
        if rule.symbols is not None and not jnp.issubdtype(value.dtype, jnp.integer):
            value = value[..., : rule.symbols] @ jnp.arange(rule.symbols, dtype=value.dtype)  # a soft symbol
        total = total + rule.running_sum(value)
    return total


def sum_after(before: Float[Array, "*B F"], added: Float[Array, "*B F"], begins: Bool[Array, "*B F"]) -> Array:
    """Running sums after a step."""
    return jnp.where(jnp.isnan(before) & ~begins, jnp.nan, jnp.nan_to_num(before) + added)


def sums_along(first: Float[Array, "B F"], added: Float[Array, "T B F"], begins: Bool[Array, "T B F"]) -> Array:
    """(T, B, F) running sums that steps read, of which the first one reads `first`."""
    added, begins = added.at[0].set(0.0), begins.at[0].set(~jnp.isnan(first))
    begun = jnp.cumsum(begins, 0) > 0
    return jnp.where(begun, jnp.nan_to_num(first) + jnp.cumsum(added, 0), jnp.nan)
