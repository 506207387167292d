"""What a caller allows to be drawn: some of the values of a category, a range of a number."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.encoding.columns import Vocabulary
from unspool.encoding.combinations import Combination
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import OptionError
from unspool.schema.coercion import coerce
from unspool.schema.fields import AnyField, Flag
from unspool.schema.monotone import as_number
from unspool.tables.arrow import from_values
from unspool.tables.location import Location, close_matches, listing


class Allowed(NamedTuple):
    """What is allowed of one field.

    Attributes:
        symbols: (V,) which of them, of a category; else `None`.
        low: of a number the smallest, in original units, or minus infinity; of a block (M,) -1 where a member may be
            no.
        high: the largest, or infinity; of a block (M,) 1 where a member may be yes.
    """

    symbols: NDArray[np.bool_] | None = None
    low: Any = -np.inf
    high: Any = np.inf


def read_allow(codec: Codec, allow: Any) -> tuple[Allowed | None, ...]:
    """What is allowed of every step field, `None` where everything is.

    Args:
        codec: the fitted columns.
        allow: `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers and dates, where either
            may be `None`; or `None`.

    Raises:
        OptionError: another form, a column that a step doesn't have, or nothing is left to draw.
        UnknownCategory: a value that training never saw.

    Examples:
        >>> from unspool.dataset.examples import gather
        >>> codec = Codec.fit(*gather({"k": ["a", "b"], "x": [["u", "v"], ["u"]]}, inputs="k", sequence="x"))
        >>> read_allow(codec, {"x": ["v"]})[0].symbols.tolist()
        [False, True]
    """
    if allow is not None and not isinstance(allow, Mapping):
        raise OptionError("allow", "{column: values} or {column: (low, high)}", repr(allow)[:60])
    left = dict(allow or {})
    found = []
    for field, column in zip(codec.schema.steps, codec.steps, strict=True):
        if isinstance(column, MultiLabel):
            given = {name: left.pop(name) for name in column.members if name in left}
            found.append(_members(column, given) if given else None)
        elif field.name not in left:
            found.append(None)
        elif isinstance(column, Vocabulary):
            found.append(_symbols(field, column, left.pop(field.name)))
        else:
            found.append(_range(field, column, left.pop(field.name)))
    if left:
        name, known = next(iter(left)), [name for field in codec.schema.steps for name in field.columns]
        close = close_matches(name, known)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise OptionError("allow", f"columns of a step: {listing(known)}", repr(name), hint)
    for one in codec.combinations:
        first = [field.name for field in codec.schema.steps].index(one.fields[0])
        ways = ways_allowed(codec, one, found)
        if not ways:
            names = " and ".join(map(repr, one.fields))
            hint = "Training saw no combination of them; allow more values of one."
            raise OptionError("allow", f"values of {names} that occur together", "none that do", hint)
        if len(ways) < len(one.seen):
            symbols = np.isin(np.arange(len(codec.steps[first].values)), [way[0] for way in ways])  # type: ignore[union-attr]
            found[first] = Allowed(symbols)
    return tuple(found)


def ways_allowed(
    codec: Codec, combination: Combination, allowed: Sequence[Allowed | None]
) -> tuple[tuple[int, ...], ...]:
    """The tuples of a combination all of whose symbols are allowed."""
    names = [field.name for field in codec.schema.steps]
    masks = [
        part.symbols if part is not None else None for part in (allowed[names.index(n)] for n in combination.fields)
    ]
    return tuple(
        way
        for way in combination.seen
        if all(mask is None or mask[symbol] for mask, symbol in zip(masks, way, strict=True))
    )


def check_allowed(allowed: Allowed | None, values: NDArray[Any], location: Location) -> None:
    """Refuse pinned values that are not allowed.

    Args:
        allowed: of their field.
        values: codes of symbols, or numbers in original units, NaN where missing.
        location: where they are.

    Raises:
        OptionError: the first that isn't.
    """
    if allowed is None:
        return
    if allowed.symbols is not None:
        wrong = ~allowed.symbols[values]
    else:
        wrong = (values < allowed.low) | (values > allowed.high)
    if wrong.any():
        hint = "Pin another value, or allow this one."
        raise OptionError(location.at(int(np.argmax(wrong))), "what `allow` allows", "a value that it doesn't", hint)


def _range(field: AnyField, column: NumericEncoder | IncrementEncoder, values: Any) -> Allowed:
    location = Location("allow", field.name, names=["low", "high"])
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        raise OptionError(
            f"allow, column {field.name!r}", "(low, high), either of which may be None", repr(values)[:60]
        )
    known = [value for value in values if value is not None]
    ends = iter(as_number(coerce(from_values(known, location), field, location)).tolist() if known else [])
    low, high = (sign * np.inf if value is None else next(ends) for sign, value in zip((-1, 1), values, strict=True))
    ceiling = column.ceiling if isinstance(column, NumericEncoder) else None
    least, most = (-np.inf if column.floor is None else column.floor), (np.inf if ceiling is None else ceiling)
    if low > high or low > most or high < least or not _any_on_grid(column, max(low, least), min(high, most)):
        raise OptionError(f"allow, column {field.name!r}", "a range in which values lie", f"{values[0]} to {values[1]}")
    return Allowed(None, low, high)


def _any_on_grid(column: NumericEncoder | IncrementEncoder, low: float, high: float) -> bool:
    """Whether a range has any of the values that can be drawn."""
    if not isinstance(column, NumericEncoder) or not column.mass or not np.isfinite(low) or not np.isfinite(high):
        return not (isinstance(column, NumericEncoder) and column.support_points) or _level_within(column, low, high)
    if column.support_points:
        return _level_within(column, low, high)
    slack = 1e-6
    return bool(np.floor(high / column.step + slack) >= np.ceil(low / column.step - slack))


def _level_within(column: NumericEncoder, low: float, high: float) -> bool:
    return any(low <= level <= high for level in column.support_points)


def _symbols(field: AnyField, column: Vocabulary, values: Any) -> Allowed:
    if not isinstance(values, (Sequence, set, frozenset)) or not len(values):
        raise OptionError(f"allow, column {field.name!r}", "a list of values, at least one", repr(values)[:60])
    several = list(values)
    location = Location("allow", field.name, names=[f"value {k + 1}" for k in range(len(several))])
    codes = column.encode(np.array([*several, None], dtype=object)[:-1], location, strict=True)
    return Allowed(np.isin(np.arange(len(column.values)), codes))


def _members(column: MultiLabel, given: Mapping[str, Any]) -> Allowed:
    low, high = np.full(len(column.members), -1.0), np.full(len(column.members), 1.0)
    for name, values in given.items():
        location = Location("allow", name, names=["value 1", "value 2"])
        if not isinstance(values, (Sequence, set, frozenset)) or not 0 < len(values) <= 2:
            raise OptionError(f"allow, column {name!r}", "a list of truth values, at least one", repr(values)[:60])
        yes = coerce(from_values(list(values), location), Flag(name), location).astype(bool)
        m = column.members.index(name)
        low[m], high[m] = (-1.0 if (~yes).any() else 1.0), (1.0 if yes.any() else -1.0)
    return Allowed(None, low, high)
