"""A sample of one field in one step: within its support, in place of it what is observed, with the sums so far."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from unspool.network.cumulative import CumulativeRule, PartRule
from unspool.network.distributions.base import Distribution, Ends, Support, over_members
from unspool.network.distributions.grid import grid_of
from unspool.network.distributions.rules import Rule
from unspool.network.distributions.where_active import WhereActive


class FirstMoment(NamedTuple):
    """The parts so far of first moments in one step.

    Attributes:
        active: (B,) which sequences have theirs in this step.
        at_low: where the parts so far are those of the lowest moment of the support.
        at_high: of the highest.
        total: running sum of the parts so far.
        field: number of the field whose first moment it is.
    """

    active: Bool[Array, " B"]
    at_low: Bool[Array, " B"]
    at_high: Bool[Array, " B"]
    total: Float[Array, " B"]
    field: int

    @classmethod
    def before_parts(cls, active: Bool[Array, " B"], field: int = 0) -> "FirstMoment":
        """No parts yet."""
        every = jnp.ones_like(active)
        return cls(active, every, every, jnp.zeros(active.shape), field)


class ObservedValue(NamedTuple):
    """The part of `ObservedSteps` of one field at one step."""

    value: Any
    where: Any
    upper: Any
    table: Any


class Asked(NamedTuple):
    """What is asked of one field at one step.

    Attributes:
        support: what its samples lie in.
        ends: where they are reflected, as running sums; of fields whose values add up.
        total: its running sum; of a part of first moments, the `FirstMoment` so far.
        given: what is observed.
    """

    support: Support | None
    ends: Ends | None
    total: Any
    given: ObservedValue | None

    @classmethod
    def of(cls, limits: Support | Ends | None, total: Any, given: ObservedValue | None = None) -> "Asked":
        """What limits of either kind ask."""
        return cls(None, limits, total, given) if isinstance(limits, Ends) else cls(limits, None, total, given)


def sample_field(
    dist: Distribution,
    params: Array,
    uniforms: Array,
    rule: Rule,
    support: Support | None = None,
    given: ObservedValue | None = None,
) -> Array:
    """The observed value of a field, or else a sample within its support."""
    if given is not None:
        support = conditioned(dist, support, given)
    value = _sampled(dist, params, uniforms, rule, support)
    if support is not None and dist.event_shape.one_number and not dist.event_shape.angle:
        value = support.clip(value)
    if given is None or given.table is not None:
        return value
    return jnp.where(over_members(given.where, value), given.value, value)


def _sampled(dist: Distribution, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
    """A sample of every sequence under the rule of all sequences, or under that of each."""
    if all(jnp.ndim(number) == 0 for number in jax.tree.leaves(rule)):
        return dist.sample(params, uniforms, rule, support)
    rows = len(params)
    whole = None if support is None else Support(*(_of_rows(end, rows) for end in support))
    return jax.vmap(dist.sample)(params, uniforms, rule, whole)


def _of_rows(end: Any, rows: Any) -> Any:
    """The part of a support of every sequence, where it is that of all."""
    alone = end is not None and jnp.shape(end)[:1] != (rows,)
    return jnp.broadcast_to(jnp.asarray(end), (rows, *jnp.shape(end))) if alone else end


def sample_increment(
    dist: Distribution,
    params: Array,
    uniforms: Array,
    rule: Rule,
    asked: Asked,
    cumulative: CumulativeRule,
    step: Array,
) -> tuple[Array, Array]:
    """The increment of a field whose values add up, and its new running sum.

    Support, ends and observed values are of running sums; the distribution is of the increment.
    """
    support, ends, total, given = asked
    if support is not None and given is not None and given.upper is not None:
        support = support._replace(high=jnp.minimum(support.high, given.upper))
    wanted = None if given is None else given._replace(value=cumulative.towards(total, given.value))
    value = sample_field(dist, params, uniforms, rule, cumulative.support(total, support, step), wanted)
    if ends is not None:
        within = _within_ends(dist, value, cumulative.ends(total, ends), rule)
        value = within if given is None else jnp.where(given.where, value, within)
    before, total = total, cumulative.after(total, value)
    if cumulative.parts:
        value = jnp.where(jnp.isnan(before) & ~jnp.isnan(value), jnp.inf, value)
    if given is not None:
        total = jnp.where(given.where & ~jnp.isnan(given.value), given.value, total)
    return value, total


def _within_ends(dist: Distribution, value: Array, ends: Ends, rule: Rule) -> Array:
    """Numbers beyond the ends as their reflections, or where the rule is greedy as the ends; others as they are."""
    grid, goal = grid_of(dist), jnp.clip(value, ends.low, ends.high) if rule.greedy else value
    within = ends.reflected(goal) if grid is None else grid.reflected(goal, ends)
    return jnp.where((value < ends.low) | (value > ends.high), within, value)


def sample_part(
    dist: WhereActive,
    params: Array,
    uniforms: Array,
    rule: Rule,
    support: Support | None,
    given: ObservedValue | None,
    part: PartRule,
    moment: FirstMoment,
) -> tuple[Array, FirstMoment]:
    """A part of first moments where they are, and the moments with it.

    A moment lies in a support if its first part that isn't that of an end lies within: so only parts after those of an
    end are confined to the end's.
    """
    low, high = (jnp.asarray(end) for end in (support or Support())[:2])
    upper = None if given is None else given.upper
    high = high if upper is None else jnp.where(jnp.isfinite(upper), upper, high)
    confined = support is not None or upper is not None
    ends = part.support(jnp.where(moment.at_low, low, -jnp.inf), jnp.where(moment.at_high, high, jnp.inf))
    value = sample_field(dist, params, uniforms, rule, ends if confined else None)
    if given is not None:
        value = jnp.where(given.where, jnp.nan_to_num(given.value).astype(value.dtype), value)
    at_low, at_high = moment.at_low & part.is_end(value, low), moment.at_high & part.is_end(value, high)
    moment = FirstMoment(moment.active, at_low, at_high, moment.total + part.running_sum(value), moment.field)
    return dist.only_where(moment.active, value), moment


def conditioned(dist: Distribution, support: Support | None, given: ObservedValue) -> Support | None:
    """The support of a value of several columns, some of which are observed."""
    if given.table is not None:
        fits = ((given.table == given.value[:, None]) | ~given.where[:, None]).all(-1)
        if support is not None:  # values that are observed as a whole, as in a prefix, need not be allowed
            fits &= support.symbols | given.where.all(-1, keepdims=True)
        return Support(symbols=fits)
    if dist.event_shape.members is not None:
        low = jnp.where(given.where, given.value, -1.0 if support is None else support.low)
        high = jnp.where(given.where, given.value, 1.0 if support is None else support.high)
        return Support(low, high, present=(given.where & ~jnp.isnan(given.value)).any(-1))
    return support
