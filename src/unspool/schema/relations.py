"""Relations between the columns of one record, which hold in every record that is generated.

| relation | text | the model |
|---|---|---|
| `AtMost` | `low <= high` | one of both is learned as its distance from the other, which is never negative |
| `Equal` | `copy = column` | the copy is not learned |
| `Sum` | `total = part + part` | the total is not learned |
| `Running` | `total += part - part` | the total is learned as its distance from that: all but the first one is known |
| `MissingWith` | `column missing with other` | a value is removed where the other one is missing |
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from unspool.errors import OptionError, did_you_mean, listing

AUTO = "auto"
"""Stands for the relations that Unspool finds."""
FORMS = "'low <= high', 'total = part + part', 'total += part', 'copy = column' or 'column missing with other'"
"""The texts of relations."""


class AtMost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="relation", tag="at_most"):
    """`low <= high`, wherever both have a value; where `low` is missing, so is `high`, or the other way round."""

    low: str
    high: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Both."""
        return (self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low} <= {self.high}"


class Equal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="relation", tag="equal"):
    """`column` has the value of `of`, and is missing where that is."""

    column: str
    of: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Both."""
        return (self.column, self.of)

    def __str__(self) -> str:
        return f"{self.column} = {self.of}"


class Sum(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="relation", tag="sum"):
    """`total` is the sum of its parts within rounding, to so many decimals, and is missing where one of them is."""

    total: str
    parts: tuple[str, ...]
    decimals: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The total and its parts."""
        return (self.total, *self.parts)

    def __str__(self) -> str:
        return f"{self.total} = {' + '.join(self.parts)}"


class Running(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="relation", tag="running"):
    """`total` is its value of the step before, plus the columns that it adds, less those that it takes."""

    total: str
    adds: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The total and its parts."""
        return (self.total, *self.adds, *self.takes)

    def terms(self, learned: str) -> dict[str, int]:
        """What gives one of the columns: by name of the others, 1 where it is added and -1 where it is taken.

        Of a part the total comes last, and stands for its change.

        Examples:
            >>> Running("stock", ("received",), ("sold",)).terms("sold")
            {'received': 1, 'stock': -1}
        """
        signs = dict.fromkeys(self.adds, 1) | dict.fromkeys(self.takes, -1)
        if learned == self.total:
            return signs
        own = signs.pop(learned)
        return {name: -own * sign for name, sign in signs.items()} | {self.total: own}

    def __str__(self) -> str:
        if not self.adds:
            return f"{self.total} -= {' + '.join(self.takes)}"
        return " - ".join([f"{self.total} += {' + '.join(self.adds)}", *self.takes])


class MissingWith(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="relation", tag="missing_with"):
    """`column` is missing whenever `of` is."""

    column: str
    of: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Both."""
        return (self.column, self.of)

    def __str__(self) -> str:
        return f"{self.column} missing with {self.of}"


AnyRelation = AtMost | Equal | Sum | Running | MissingWith


def parse_relations(relations: Any, columns: Collection[str]) -> tuple[bool, list[AnyRelation]]:
    """Whether Unspool searches relations, and those that the user gave.

    Args:
        relations: `"auto"`, `None`, or a list of texts as in `FORMS`, among which may be `"auto"`.
        columns: the names of the columns, of which any may contain spaces.

    Raises:
        OptionError: another form, or a column that a step doesn't have.

    Examples:
        >>> parse_relations(["start <= end"], ["start", "end"])
        (False, [AtMost(low='start', high='end')])
        >>> parse_relations("auto", ["start", "end"])
        (True, [])
        >>> str(parse_relations(["stock += received - sold"], ["stock", "received", "sold"])[1][0])
        'stock += received - sold'
    """
    texts = [relations] if isinstance(relations, str) else relations
    if texts is None:
        return False, []
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise OptionError("relations", f"'auto', None, or a list of texts such as {FORMS}", repr(relations)[:60])
    return AUTO in texts, [_parse(text, columns) for text in texts if text != AUTO]


def _parse(text: str, columns: Collection[str]) -> AnyRelation:
    location = f"relation {text!r}"

    def known(part: str) -> str:
        name = part.strip()
        if name not in columns:
            expected = f"columns of a step: {listing(columns)}"
            raise OptionError(location, expected, repr(name), did_you_mean(name, columns))
        return name

    for sign in (" missing with ", "<=", ">=", "+=", "-=", "="):
        left, found, right = text.partition(sign)
        if not found:
            continue
        if sign in ("+=", "-="):
            first, *others = [right] if sign == "-=" or right.strip() in columns else right.split(" - ")
            parts = tuple(map(known, [first] if first.strip() in columns else first.split("+")))
            sides = ((), parts) if sign == "-=" else (parts, tuple(map(known, others)))
            return Running(known(left), *sides)
        if sign == "=" and right.strip() not in columns and "+" in right:
            return Sum(known(left), tuple(map(known, right.split("+"))))
        first, second = known(left), known(right)
        if first == second:
            break
        if sign in ("<=", ">="):
            return AtMost(first, second) if sign == "<=" else AtMost(second, first)
        return Equal(first, second) if sign == "=" else MissingWith(first, second)
    raise OptionError("relations", FORMS, repr(text))


def derived_columns(relations: Iterable[AnyRelation]) -> dict[str, AnyRelation]:
    """The columns that are not learned, with the relation that gives each of them."""
    found: dict[str, AnyRelation] = {}
    for relation in relations:
        match relation:
            case Equal(column=name) | Sum(total=name):
                found[name] = relation
    return found


def check_references(field: Any) -> None:
    """Refuse references of another form, and of more than one kind."""
    options = [option for option in ("above", "below", "near") if hasattr(field, option)]
    for option in options:
        names = getattr(field, option)
        if not isinstance(names, (list, tuple)) or not all(_is_other(name, field.name) for name in names):
            raise OptionError(f"{field.kind}({field.name!r}, {option}=...)", "names of other columns", repr(names))
        msgspec.structs.force_setattr(field, option, tuple(names))
    given = [option for option in (*options, "running") if getattr(field, option, None)]
    if len(given) > 1:
        location = f"{field.kind}({field.name!r}, " + ", ".join(f"{option}=..." for option in given) + ")"
        raise OptionError(location, "one of them", " and ".join(given), "Give the other columns theirs instead.")
    if len(getattr(field, "near", ())) > 1:
        raise OptionError(f"{field.kind}({field.name!r}, near=...)", "one other column", listing(field.near))
    running = getattr(field, "running", None)
    if running is not None and field.name not in running.columns:
        raise OptionError(f"{field.kind}({field.name!r}, running=...)", "a relation of it", str(running))


def _is_other(name: Any, own: str) -> bool:
    """Whether a name is that of another column."""
    return isinstance(name, str) and name not in ("", own)
