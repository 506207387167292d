"""Fields of one kind side by side: what a program does to one of them, it does to all in one go.

Two fields are of one kind if their distributions differ in numbers alone: bounds, grids, points. So a program is as
long as there are kinds, however many columns a table has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from unspool.network.cumulative import CumulativeRule, PartRule, ValueBefore
from unspool.network.distributions.base import Distribution, EventShape

HIDDEN_WITHIN = 32
"""Hidden units between the fields of one step, for each of them."""


class Constants(NamedTuple):
    """The numbers of the data in a network: none of them is learned.

    Attributes:
        fields: the distributions of the step fields, by kind.
        last: the last position with a hazard of its own.
        symbols: by input field, its symbols; 0 of numbers.
        before: by step field, how an input becomes its value before step 0; `None` where none does.
        sums_before: likewise, its running sum.
    """

    fields: tuple["FieldGroup", ...]
    last: Int[Array, ""]
    symbols: Int[Array, " F"]
    before: tuple[ValueBefore | None, ...] = ()
    sums_before: tuple[ValueBefore | None, ...] = ()

    def without_wide(self) -> "Constants":
        """The same, where no value is unlike the others: the wide components of mixtures have no weight."""
        is_wide = lambda path: getattr(path[-1], "name", "") == "wide"  # noqa: E731
        none: Constants = jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf * np.array([0, 1, 1], np.float32) if is_wide(path) else leaf, self
        )
        return none


class FieldGroup(eqx.Module):
    """Fields of one kind.

    Attributes:
        fields: their numbers, rising.
        distribution: of all of them; its arrays have a first axis of fields.
        cumulative: likewise, how their values add up, or `None`.
    """

    fields: tuple[int, ...] = eqx.field(static=True)
    distribution: Distribution
    cumulative: CumulativeRule | PartRule | None

    def of(self, i: Any) -> tuple[Distribution, CumulativeRule | PartRule | None]:
        """The distribution and the rule of the field at a place of the group."""
        own: tuple[Distribution, CumulativeRule | PartRule | None] = jax.tree.map(
            lambda leaf: _at(leaf, i), (self.distribution, self.cumulative)
        )
        return own

    def log_prob(self, params: Float[Array, "*B F P"], values: Array) -> Float[Array, "*B F"]:
        """Log-probability of a value of every field."""
        distribution = self.distribution
        axis = -1 if distribution.event_shape.members is None else -2
        if len(self.fields) == 1:
            one = self.of(0)[0]
            return one.log_prob(params[..., 0, :], jnp.take(values, 0, axis=axis))[..., None]
        return jax.vmap(lambda one, own, value: one.log_prob(own, value), (0, -2, axis), -1)(
            distribution, params, values
        )


@dataclass(frozen=True)
class FieldLayout:
    """Where the fields of a step lie in the network's arrays: kind after kind, those of one kind side by side.

    Attributes:
        groups: by kind, the numbers of its fields; kinds are in the order of their last field.
        params: by field, parameters of its distribution.
        uniforms: by field, uniforms of a sample.
        events: by field, the shape of a value.
        sums: by kind, the numbers that the next step reads of each of its running sums.
        parts: by kind, the parts of first values, which are the fields after each.
    """

    groups: tuple[tuple[int, ...], ...]
    params: tuple[int, ...]
    uniforms: tuple[int, ...]
    events: tuple[EventShape, ...]
    sums: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()

    @property
    def num_params(self) -> int:
        """Parameters Q of all distributions of a step."""
        return sum(self.params)

    @property
    def numeric(self) -> tuple[int, ...]:
        """The groups of numbers."""
        return tuple(g for g, group in enumerate(self.groups) if self.events[group[0]].symbols is None)

    @property
    def changing(self) -> tuple[int, ...]:
        """The groups of numbers that have changes from step to step: all but angles, which have no size."""
        first = [self.events[group[0]] for group in self.groups]
        return tuple(g for g, event in enumerate(first) if event.one_number and not event.angle)

    @property
    def summing(self) -> tuple[int, ...]:
        """The groups whose running sums are read."""
        return tuple(g for g, width in enumerate(self.sums) if width)

    @property
    def leading_sums(self) -> tuple[int, ...]:
        """Those of them that have a field after them."""
        return tuple(g for g in self.summing if g < self.leading)

    def place(self, j: int) -> tuple[int, int]:
        """The group of field j, and its place there."""
        return next((g, group.index(j)) for g, group in enumerate(self.groups) if j in group)

    def group_columns(self, g: int) -> slice:
        """The columns of the parameters of a group, among those of all."""
        start = sum(len(group) * self.params[group[0]] for group in self.groups[:g])
        return slice(start, start + len(self.groups[g]) * self.params[self.groups[g][0]])

    def group_hidden(self, g: int) -> slice:
        """The columns of its hidden units, see `unspool.network.outputs`."""
        start = sum(map(len, map(self.conditioned, range(g)))) * HIDDEN_WITHIN
        return slice(start, start + len(self.conditioned(g)) * HIDDEN_WITHIN)

    def conditioned(self, g: int) -> tuple[int, ...]:
        """The fields of a group that have hidden units: all, or none if it has the first field alone."""
        return () if self.groups[g] == (0,) else self.groups[g]

    def columns(self, j: int) -> slice:
        """The columns of the parameters of field j."""
        (g, i), width = self.place(j), self.params[j]
        start = self.group_columns(g).start + i * width
        return slice(start, start + width)

    def hidden(self, j: int) -> slice:
        """The columns of the hidden units of field j."""
        g, i = self.place(j)
        start = self.group_hidden(g).start + i * HIDDEN_WITHIN
        return slice(start, start + HIDDEN_WITHIN)

    @staticmethod
    def slice_of(array: Array, start: Any, width: int) -> Array:
        """Columns from one on, whose number the program need not know before it runs."""
        if isinstance(start, int):
            return array[..., start : start + width]
        return jax.lax.dynamic_slice_in_dim(array, start, width, -1)

    def after(self, g: int) -> int | None:
        """The first group with a field after the first one of group g, which is before it in the step, or `None`."""
        first = self.groups[g][0]
        return next((k for k, group in enumerate(self.groups) if group[-1] > first), None)

    def columns_within(self, k: int, j: int) -> slice:
        """The columns of the parameters of field j, among those that an earlier field k of the step adds to."""
        own, first = self.columns(j), self.group_columns(self.after(self.place(k)[0]) or 0).start
        return slice(own.start - first, own.stop - first)

    @property
    def leading(self) -> int:
        """Groups that have a field after them: all, or all but the last."""
        return len(self.groups) - (len(self.groups[-1]) == 1)

    def later(self, g: int, parts: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(F, N') and (F, Q') of each field of group g, one where a column from its first on is of a later field.

        So many `parts` after the field don't count: the running sum of a first value is known only with them.
        """
        first = self.after(g) or 0
        hidden = np.repeat([j for k in range(first, len(self.groups)) for j in self.conditioned(k)], HIDDEN_WITHIN)
        params = np.concatenate([np.full(self.params[j], j) for group in self.groups[first:] for j in group])
        order = np.array(self.groups[g])[:, None] + parts
        return (hidden > order).astype(np.float32), (params > order).astype(np.float32)

    def stack(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Values of every group, on an axis behind those of a batch, from those of every field."""
        if len(values) != len(self.events):
            raise ValueError(f"{len(values)} values for {len(self.events)} fields")
        return tuple(self._side_by_side([values[j] for j in group], group[0]) for group in self.groups)

    def rows(self, values: Sequence[Any], j: int) -> Any:
        """Values of fields of the kind of field j as their embeddings take them: single numbers have an axis of one."""
        stacked = self._side_by_side(values, j)
        return stacked[..., None] if self.events[j].one_number else stacked

    def _side_by_side(self, values: Sequence[Any], j: int) -> Any:
        return jnp.stack(values, values[0].ndim - self._own_axes(j, values[0]))

    def _own_axes(self, j: int, value: Any) -> int:
        """Axes of one value: members; or symbols, of the probabilities of all of them."""
        event = self.events[j]
        soft = event.symbols is not None and not np.issubdtype(value.dtype, np.integer)
        return int(soft or event.members is not None)


def group_fields(
    distributions: Sequence[Distribution], cumulative: Sequence[CumulativeRule | PartRule | None] = ()
) -> tuple[FieldGroup, ...]:
    """The fields of a step by kind."""
    rules = cumulative or (None,) * len(distributions)
    kinds: dict[Any, list[int]] = {}
    trees = [jax.tree.map(constant, pair) for pair in zip(distributions, rules, strict=True)]
    for j, tree in enumerate(trees):
        leaves, structure = jax.tree.flatten(tree)
        kinds.setdefault((structure, *((leaf.shape, leaf.dtype.str) for leaf in leaves)), []).append(j)
    groups = sorted(kinds.values(), key=lambda fields: fields[-1])
    return tuple(
        FieldGroup(tuple(fields), *jax.tree.map(lambda *leaves: np.stack(leaves), *[trees[j] for j in fields]))
        for fields in groups
    )


def layout_of(groups: Sequence[FieldGroup]) -> FieldLayout:
    """Where fields of these kinds lie."""
    kind = {j: group.of(0)[0] for group in groups for j in group.fields}
    fields = [kind[j] for j in range(len(kind))]
    return FieldLayout(
        tuple(group.fields for group in groups),
        tuple(dist.num_params for dist in fields),
        tuple(dist.num_uniforms for dist in fields),
        tuple(dist.event_shape for dist in fields),
        tuple(0 if (read := getattr(group.cumulative, "features", None)) is None else read.width for group in groups),
        tuple(getattr(group.cumulative, "parts", 0) for group in groups),
    )


def layout_of_inputs(events: Sequence[EventShape]) -> FieldLayout:
    """Where inputs lie, which have no parameters: kinds are values of one shape."""
    kinds: dict[EventShape, list[int]] = {}
    for j, event in enumerate(events):
        kinds.setdefault(event, []).append(j)
    none = (0,) * len(events)
    return FieldLayout(tuple(map(tuple, kinds.values())), none, none, tuple(events))


def constant(value: Any) -> NDArray[Any]:
    """A number or an array of the data as programs take it."""
    array = np.asarray(value)
    return array.astype(np.int32 if array.dtype.kind in "iub" else np.float32)


def _at(leaf: Any, i: Any) -> Any:
    """A row, on the host where that can be: one by one, on a device, each shape would be a program."""
    return leaf[i] if isinstance(leaf, jax.core.Tracer) or isinstance(i, jax.core.Tracer) else np.asarray(leaf)[i]
