"""What a caller allows to be sampled: some of the values of a category, a range of a number."""

from collections.abc import Mapping
from typing import Any

from unspool.constraints.base import Allowed
from unspool.constraints.fields import constraints_of
from unspool.encoding.codec import Codec
from unspool.errors import OptionError, close_matches, listing


def read_allow(codec: Codec, allow: Any) -> tuple[Allowed | None, ...]:
    """What is allowed of every step field, `None` where everything is.

    Args:
        codec: the fitted columns.
        allow: `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers and dates, where either
            may be `None`; or `None`.

    Raises:
        OptionError: another form, a column that a step doesn't have, or nothing is left to sample.
        UnknownCategory: a value that training never saw.

    Examples:
        >>> from unspool.dataset.gather import gather
        >>> from unspool.encoding.fit import fit_codec
        >>> codec = fit_codec(*gather({"k": ["a", "b"], "x": [["u", "v"], ["u"]]}, inputs="k", sequence="x"))
        >>> read_allow(codec, {"x": ["v"]})[0].symbols.tolist()
        [False, True]
    """
    if allow is not None and not isinstance(allow, Mapping):
        raise OptionError("allow", "{column: values} or {column: (low, high)}", repr(allow)[:60])
    left = dict(allow or {})
    found = []
    for constraints in constraints_of(codec):
        given = {name: left.pop(name) for name in constraints.field.columns if name in left}
        found.append(constraints.read_allowed(given) if given else None)
    if left:
        name = next(iter(left))
        raise unknown_column("allow", name, codec)
    return tuple(found)


def unknown_column(location: str, name: Any, codec: Codec) -> OptionError:
    """The error about a column that a step doesn't have."""
    known = [column for field in codec.schema.steps for column in field.columns]
    close = close_matches(name, known)
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return OptionError(location, f"columns of a step: {listing(known)}", repr(name), hint)
