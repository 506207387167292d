"""What a step reads of the step before it, and the running sums that go from step to step with it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from unspool.network.cumulative import CumulativeRule, PartRule, ValueBefore
from unspool.network.fields import FieldGroup, FieldLayout
from unspool.network.lstm import Gathered, flat_product


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


def of_changes(
    weights: tuple[Array, ...], numbers: tuple[Array, ...], before: tuple[Array, ...]
) -> list[Float[Array, "*T B X"]]:
    """What the changes of (*T, B, F) numbers add by (F, X) weights, by kind.

    Nothing is added where one is missing, or there is none before.
    """
    found = []
    for own, now, then in zip(weights, numbers, before, strict=True):
        change = jnp.where(jnp.isfinite(now) & jnp.isfinite(then), now - then, 0.0)
        found.append(flat_product(change, own))
    return found


def sums_before(
    group: FieldGroup, given: Sequence[ValueBefore | None], inputs: tuple[Array, ...]
) -> Float[Array, "B F"]:
    """The running sums of a group before step 0: those of inputs, where `given` has by field how they become one."""
    none = jnp.full(inputs[0].shape[0], jnp.nan if getattr(group.cumulative, "parts", 0) else 0.0)
    rules = [given[j] if given else None for j in group.fields]
    known = [none if rule is None else rule.of(inputs) for rule in rules]
    return jnp.stack([jnp.where(jnp.isnan(total), none, total) for total in known], -1)


def with_value(rule: CumulativeRule | PartRule | None, total: Array, value: Array) -> Array:
    """A running sum with what one field of a step adds to it; a value or a part that isn't there adds nothing.

    It is NaN before the first value, and begins with the first part.
    """
    if isinstance(rule, PartRule):
        if rule.symbols is None:
            there = jnp.isfinite(value)
        elif jnp.issubdtype(value.dtype, jnp.integer):
            there = value < rule.symbols
        else:  # a soft symbol
            there = value[..., : rule.symbols].sum(-1) > 0
            value = value[..., : rule.symbols] @ jnp.arange(rule.symbols, dtype=value.dtype)
        return jnp.where(there, jnp.nan_to_num(total) + rule.running_sum(jnp.where(there, value, 0)), total)
    assert isinstance(rule, CumulativeRule)  # noqa: S101  # of a field whose sums are read
    there = jnp.isfinite(value)
    return jnp.where(there, total + rule.axis.to_original(jnp.where(there, value, 0.0)), total)


def with_step(
    layout: FieldLayout, groups: Sequence[FieldGroup], g: int, total: Float[Array, "*B F"], values: Sequence[Array]
) -> Float[Array, "*B F"]:
    """The running sums of group g with what the values of a step, by field, add to them."""
    total = with_value(groups[g].cumulative, total, jnp.stack([values[j] for j in layout.groups[g]], -1))
    if not layout.parts[g]:
        return total
    of_fields = [total[..., i] for i in range(len(layout.groups[g]))]
    for i, j in enumerate(layout.groups[g]):
        for k in range(j + 1, j + 1 + layout.parts[g]):
            h, at = layout.place(k)
            of_fields[i] = with_value(groups[h].of(at)[1], of_fields[i], values[k])
    return jnp.stack(of_fields, -1)


def sums_after(
    layout: FieldLayout, groups: Sequence[FieldGroup], before: Sequence[Array], values: Sequence[Array]
) -> tuple[Float[Array, "*B F"], ...]:
    """Running sums after a step with these values by field, by kind, from those before it."""
    return tuple(with_step(layout, groups, g, total, values) for g, total in zip(layout.summing, before, strict=True))


def sums_along(
    layout: FieldLayout, groups: Sequence[FieldGroup], first: Sequence[Array], before: Sequence[Array]
) -> tuple[Float[Array, "T B F"], ...]:
    """Running sums that steps read: the first one `first`, later ones with the (T, B) values `before` them by field."""
    found = []
    for g, start in zip(layout.summing, first, strict=True):
        z = jnp.stack([before[j] for j in layout.groups[g]], -1)
        added = with_step(layout, groups, g, jnp.zeros_like(z), before).at[0].set(0.0)
        begun = jnp.cumsum(jnp.isinf(z).at[0].set(~jnp.isnan(start)), 0) > 0
        found.append(jnp.where(begun, jnp.nan_to_num(start) + jnp.cumsum(added, 0), jnp.nan))
    return tuple(found)


def sum_features(rule: CumulativeRule | PartRule | None, total: Array) -> Float[Array, "*B K"]:
    """What is read of running sums of a rule that has features."""
    assert isinstance(rule, CumulativeRule)  # noqa: S101  # of a field whose sums are read
    assert rule.features is not None  # noqa: S101
    return rule.features.of(total)


class SumOfField(NamedTuple):
    """The running sum to which a field of the step adds.

    Attributes:
        group: the group of the field whose sum it is.
        place: that field's place there.
        total: the sum with what the field adds.
        known: whether that is all: of a first value with parts, with the last of them.
    """

    group: int
    place: Any
    total: Array
    known: bool


def sum_with_field(
    layout: FieldLayout, groups: Sequence[FieldGroup], sums: Sequence[Array], g: int, i: Any, value: Array
) -> SumOfField | None:
    """The running sum with a value of the field at a place of group g; `None` if no later field reads it."""
    rule = groups[g].of(i)[1]
    if g in layout.leading_sums:
        h, at, known = g, i, not layout.parts[g]
    elif isinstance(rule, PartRule):
        part = layout.groups[g][i]
        owner = max(j for h in range(len(groups)) if layout.parts[h] for j in layout.groups[h] if j < part)
        (h, at), known = layout.place(owner), part == owner + layout.parts[layout.place(owner)[0]]
    else:
        return None
    if h not in layout.leading_sums:
        return None
    return SumOfField(h, at, with_value(rule, sums[layout.summing.index(h)][..., at], value), known)
