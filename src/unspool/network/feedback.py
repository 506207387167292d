"""What a step reads of the step before it, and the running sums that go from step to step with it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from unspool.network.cumulative import CumulativeRule, PartRule, ValueBefore
from unspool.network.fields import FieldGroup, FieldLayout
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


def sums_after(
    layout: FieldLayout, groups: Sequence[FieldGroup], before: Sequence[Array], values: Sequence[Array]
) -> tuple[Float[Array, "*B F"], ...]:
    """Running sums after a step with these values by field, by kind, from those before it."""
    found = []
    for g, total in zip(layout.summing, before, strict=True):
        added, begins = added_to_sum(groups[g], groups, values)
        found.append(jnp.where(jnp.isnan(total) & ~begins, jnp.nan, jnp.nan_to_num(total) + added))
    return tuple(found)


def sums_along(
    layout: FieldLayout, groups: Sequence[FieldGroup], first: Sequence[Array], before: Sequence[Array]
) -> tuple[Float[Array, "T B F"], ...]:
    """Running sums that steps read: the first one `first`, later ones with the (T, B) values `before` them by field."""
    found = []
    for g, start in zip(layout.summing, first, strict=True):
        added, begins = added_to_sum(groups[g], groups, before)
        begun = jnp.cumsum(begins.at[0].set(~jnp.isnan(start)), 0) > 0
        total = jnp.nan_to_num(start) + jnp.cumsum(added.at[0].set(0.0), 0)
        found.append(jnp.where(begun, total, jnp.nan))
    return tuple(found)


def sum_that_ends(layout: FieldLayout, groups: Sequence[FieldGroup], g: int, i: Any) -> tuple[int, Any, bool] | None:
    """The place of the field to whose running sum the field at a place of group g adds, if later fields read it.

    And whether that sum is known with it: with the last part of a first value, where it has some.
    """
    if g in layout.leading_sums:
        return g, i, not layout.parts[g]
    if not isinstance(groups[g].cumulative, PartRule):
        return None
    part = layout.groups[g][i]
    owner = max(j for h in range(len(groups)) if layout.parts[h] for j in layout.groups[h] if j < part)
    h, at = layout.place(owner)
    return (h, at, part == owner + layout.parts[h]) if h in layout.leading_sums else None


def with_value(rule: CumulativeRule | PartRule | None, total: Array, value: Array) -> Array:
    """A running sum with what one field of a step adds to it; a part that isn't there adds nothing."""
    if isinstance(rule, PartRule):
        there = jnp.isfinite(value) if rule.symbols is None else value < rule.symbols
        return jnp.where(there, jnp.nan_to_num(total) + rule.running_sum(jnp.where(there, value, 0)), total)
    assert isinstance(rule, CumulativeRule)  # noqa: S101  # of a field whose sums are read
    there = jnp.isfinite(value)
    return jnp.where(there, total + rule.axis.to_original(jnp.where(there, value, 0.0)), total)
