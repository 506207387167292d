"""The fields of the input and of the step: the kinds of columns, before their values are fitted."""

import math
import numbers
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, get_args

import msgspec

from unspool.errors import OptionError, SchemaError, readable
from unspool.options import OptionMeta, renamed
from unspool.schema.relations import AnyRelation, Equal, Running, check_references, derived_columns

Transform = Literal[
    "auto", "none", "standardize", "log1p", "asinh", "difference", "log_return", "increment", "decrement"
]
"""The transform of a number before the network reads it; each is invertible."""
DistributionName = Literal["auto", "normal", "student_t", "mixture", "discretized", "histogram", "point"]
"""The output distribution of a number."""
MeanChoice = Literal["auto", "learned", "constant"]
"""Whether the mean of a number follows input and history."""
Bounds = Literal["auto", "data"] | tuple[float | None, float | None] | None
"""Limits that no sample of a number violates."""
BYTE_SYMBOLS = 256
"""Pieces of a single byte, with which any text can be written."""
MAX_SHOWN_CELL = 400
"""Characters of a cell of the table that a fit prints."""
MONOTONE_TRANSFORMS = ("increment", "decrement")
"""Transforms of numbers that never fall, and that never rise."""
SERIES_TRANSFORMS = ("difference", "log_return", *MONOTONE_TRANSFORMS)
"""Transforms that depend on the previous value, for steps only."""
TextUnit = Literal["char", "word", "bpe"]
"""The unit of text that is one step."""
Form = Literal["text", "list", "records", "vectors"]
"""The form of a generated sequence: str, list of values, list of dicts, list of lists."""
Layout = Literal["rows", "long"]
"""The location of a sequence in a table: one cell of a row, or rows that share an id."""


NO_INPUT = "(none)"
"""Name and only value of the input of a model of sequences alone."""


def column_name(name: Any) -> Any:
    """The name of a column as text, if it is a whole number, as pandas names columns; other values as they are."""
    return str(name) if isinstance(name, numbers.Integral) and not isinstance(name, bool) else name


class Field(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower, metaclass=OptionMeta
):
    """A named column; the base of the kinds below."""

    name: str

    what: ClassVar[str] = "a value"

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "name", column_name(self.name))
        if not isinstance(self.name, str) or not self.name:
            location = f"{type(self).__name__}({self.name!r})"
            raise OptionError(location, "the name of a column, a non-empty str", repr(self.name))

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self).__name__

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table in this field: its members, or the one of its name."""
        return getattr(self, "members", (self.name,))

    @property
    def references(self) -> tuple[str, ...]:
        """The columns of its step from which a number or a date is learned as a distance."""
        sides = (getattr(self, option, ()) for option in ("above", "below", "near"))
        return (*(name for side in sides for name in side), *self._terms)

    @property
    def side(self) -> Literal[1, -1, 0]:
        """On which side of its references a field lies: 1 above, -1 below, 0 on either."""
        return 1 if getattr(self, "above", ()) else -1 if getattr(self, "below", ()) else 0

    @property
    def signs(self) -> tuple[int, ...]:
        """Of a running total, or a part of one: 1 for each reference that is added, -1 for one that is taken."""
        return tuple(self._terms.values())

    @property
    def is_change(self) -> bool:
        """Whether it is a part of a running total, which is the last of its references."""
        return self.carried != self.name

    @property
    def carried(self) -> str:
        """The running total that it is or is a part of, whose value before a step it reads; else its own name."""
        running: Running | None = getattr(self, "running", None)
        return self.name if running is None else running.total

    @property
    def _terms(self) -> dict[str, int]:
        running: Running | None = getattr(self, "running", None)
        return {} if running is None else running.terms(self.name)


class Category(Field, frozen=True):
    """One of a finite set of values: text, whole numbers or truth values.

    Examples:
        >>> Category("country")
        Category(name='country')
    """

    what: ClassVar[str] = "a category: text, a whole number or a truth value"


class Number(Field, frozen=True):
    """A real number, or a whole number that counts or measures.

    Args:
        name: the column's name.
        transform: the transform; `"auto"` decides by the data (see `unspool.schema.inference`). `"difference"`,
            `"log_return"`, `"increment"` and `"decrement"` are for steps only. An increment is never negative: a number
            modelled by increments never falls, and one modelled by decrements never rises.
        distribution: the output distribution of a step field; `"auto"` decides by the data: a `"discretized"` mixture
            for whole numbers and decimals on a grid, a `"mixture"` of normals for others. With enough data, a short
            trial may select another one, see `unspool.training.selection`.
        bounds: limits of samples: `(low, high)`, either may be `None`; `"data"`, the range of
            training; `"auto"`, the ends that training shows (see `unspool.schema.bounds`): 0 of numbers of one sign,
            an end where values pile up, and 1, 90, 100, 180 or 360 where they come up to it; `None`, no limits. Numbers
            modelled by differences or log-returns respect them too: a step is sampled given that its end lies within.
            Increments and decrements are bounds in themselves, and accept only `(0, None)`. Of an input, `bounds` are
            those of `sample`, which samples inputs too.
        mean: whether the mean of a step field (of its change, where the change is modelled) depends on input and
            history: `"learned"` does; `"constant"` is that of training, as of returns on a market; `"auto"` is learned
            unless that gains next to nothing on validation data.
        above: columns of the same step that no value of a step field is below: the model learns the distance from the
            largest of them, to which transform, distribution and bounds then belong. See `OneToMany(relations=...)`.
        below: likewise, columns that no value is above. A field has one of the three.
        near: likewise, one earlier column that the values follow closely, on either side.
        running: the running total that the column is, or is a part of: `OneToMany(relations=...)` decides it.

    Raises:
        OptionError: an unknown transform, distribution or mean; bounds without a number between them; two of `above`,
            `below`, `near` and `running` at once; or two columns in `near`.

    Examples:
        >>> Number("price", transform="log_return").transform
        'log_return'
    """

    transform: Transform = "auto"
    distribution: DistributionName = "auto"
    bounds: Bounds = "auto"
    mean: MeanChoice = "auto"
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    running: Running | None = None
    what: ClassVar[str] = "a number"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_references(self)
        for option, kind in (("transform", Transform), ("distribution", DistributionName), ("mean", MeanChoice)):
            value, known = getattr(self, option), get_args(kind)
            if value not in known:
                location = f"{self.kind}({self.name!r}, {option}=...)"
                raise OptionError(location, "one of " + ", ".join(known), repr(value), renamed(value))
        if (self.mean, self.distribution) == ("constant", "histogram"):
            location, hint = f"{self.kind}({self.name!r}, mean='constant')", "Leave the distribution open, or the mean."
            raise OptionError(location, "a distribution that can be moved", "'histogram'", hint)
        if not _legal_bounds(self.bounds):
            expected = "'auto', 'data', None, or (low, high) with low < high, either of which may be None"
            raise OptionError(f"{self.kind}({self.name!r}, bounds=...)", expected, repr(self.bounds))


def _legal_bounds(bounds: Any) -> bool:
    """Whether bounds have a legal form, and a number between them."""
    if bounds is None or isinstance(bounds, str):
        return bounds in (None, "auto", "data")
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        return False
    ends = [end for end in bounds if end is not None]
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end) for end in ends)
    return numbers and (len(ends) < 2 or ends[0] < ends[1])


class Count(Number, frozen=True):
    """A whole number from 0 on: how often, how many.

    Examples:
        >>> Count("visits").distribution
        'discretized'
    """

    distribution: DistributionName = "discretized"
    bounds: Bounds = (0.0, None)
    what: ClassVar[str] = "a whole number, 0 or above"


class Angle(Field, frozen=True):
    """A number of which one period is a full turn: a longitude, a heading, the direction of the wind.

    Values lie in [0, period) or in [-period / 2, period / 2), whichever those of training do. Its distribution is on
    the circle, so nothing breaks where the period ends; as an input it is seen by sine and cosine. In a step, an angle
    that follows the one before is modelled by its change.

    Args:
        name: the column's name.
        period: a full turn: 360 degrees, 2 pi radians, 24 hours.

    Raises:
        OptionError: a period that is no finite number above 0.

    Examples:
        >>> Angle("heading").period
        360.0
    """

    period: float = 360.0
    what: ClassVar[str] = "an angle"

    def __post_init__(self) -> None:
        super().__post_init__()
        number = isinstance(self.period, (int, float)) and not isinstance(self.period, bool)
        if not number or not 0 < self.period < math.inf:
            raise OptionError(f"Angle({self.name!r}, period=...)", "a finite number above 0", repr(self.period))


class Vector(Field, frozen=True):
    """A list of numbers, equally long in every row: a colour, an embedding. Input only."""

    what: ClassVar[str] = "a list of numbers, equally long in every row"


class Flag(Field, frozen=True):
    """True or false."""

    what: ClassVar[str] = "true or false"


class Group(Field, frozen=True):
    """A field of several columns of a step, at least two; the base of the two kinds below."""

    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        names = tuple(map(column_name, self.members)) if isinstance(self.members, (list, tuple)) else ()
        if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
            location = f"{self.kind}({self.name!r}, members=...)"
            raise OptionError(location, "the names of two or more columns, none twice", repr(self.members))
        msgspec.structs.force_setattr(self, "members", names)


class Flags(Group, frozen=True):
    """A block of columns that are true or false, as one field whose members depend on each other. Step only.

    Each member depends on all those before it. If one is missing at a step, all of them must be. Where some members are
    pinned and an open one stands before a pinned one, the open ones are exact up to eight members, and approximate
    beyond.

    Args:
        name: the name of the block.
        members: its columns; at least two. Put first what you will pin.

    Raises:
        OptionError: fewer than two columns, or one twice.

    Examples:
        >>> len(Flags("symptoms", ["fever", "cough", "rash"]).members)
        3
    """

    what: ClassVar[str] = "columns that are true or false"


class Joint(Group, frozen=True):
    """Several categories of a step as one symbol, see `OneToMany(combinations=...)`. Step only.

    Only the combinations of the training data are generated.
    """

    what: ClassVar[str] = "columns that are categories"


class When(Field, frozen=True):
    """A date or a time, without a time zone or in UTC; in a step, modelled by the time since the previous step.

    If the times of each training sequence never decrease, those of generated sequences don't either.

    Args:
        name: the column's name.
        distribution: that of the time since the previous step, as of a `Number`.
        since: an input, a date, from which Unspool counts the first step. By default the nearest one that no sequence
            starts before, if there is any; else a date before all training sequences.
        above: dates of the same step that this one never precedes, see `Number`.
        below: dates of the same step that this one never follows.
        sentinel: a date that stands for none, such as `"9999-12-31"`. It is learned as a missing value, and comes back
            as it is. By default the one that repeats far from all other dates, in a column without missing ones.
    """

    distribution: DistributionName = "auto"
    since: str | None = None
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    sentinel: str | None = None
    what: ClassVar[str] = "a date, or a text such as 2026-01-31, 2026-01 or 2026Q1"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_references(self)


class Part(Field, frozen=True):
    """A part of the values of another field, with no column of a table: the network alone has it.

    Args:
        name: that of the field.
        of: the field.
    """

    of: Any = None
    members: ClassVar[tuple[str, ...]] = ()


class Text(Field, frozen=True):
    """A string, generated piece by piece. Step only.

    Args:
        name: the column that holds the strings.
        unit: the unit that is one step. `"char"`: a Unicode code point. `"word"`: a word or run of punctuation with
            the space before it, or a run of white space; rare and unknown words are spelled. `"bpe"`: a piece of a
            word, learned by byte-pair encoding, which needs the extra `text`.
        vocabulary: the largest number of words, by default 20,000; or of pieces, by default as many as the texts allow.
            Not of characters.

    Raises:
        OptionError: an unknown unit, or a vocabulary that the unit can't have.

    Examples:
        >>> Text("abstract", unit="word", vocabulary=5_000).unit
        'word'
    """

    unit: TextUnit = "char"
    vocabulary: int | None = None
    what: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unit not in get_args(TextUnit):
            known = "one of " + ", ".join(get_args(TextUnit))
            raise OptionError(f"Text({self.name!r}, unit=...)", known, repr(self.unit))
        if self.vocabulary is None:
            return
        smallest = {"char": math.inf, "word": 1, "bpe": BYTE_SYMBOLS}[self.unit]
        whole = isinstance(self.vocabulary, int) and not isinstance(self.vocabulary, bool)
        if not whole or self.vocabulary < smallest:
            char = self.unit == "char"
            expected = "no number, all characters are kept" if char else f"a whole number from {smallest} on"
            raise OptionError(f"Text({self.name!r}, vocabulary=...)", expected, repr(self.vocabulary))


AnyField = Category | Number | Count | Angle | Vector | Flag | Flags | Joint | When | Text
INPUT_KINDS = (Category, Number, Count, Angle, Vector, Flag, When)
STEP_KINDS = (Category, Number, Count, Angle, Flag, Flags, Joint, When, Text)


class First:
    """Inputs that are the first record of every sequence, of which the rest is generated.

    Args:
        *names: the step fields whose first value is an input, as names, or as fields that override the inferred ones of
            the *input*; none means all of them.

    Examples:
        >>> First("lat", "long")
        First('lat', 'long')
    """

    def __init__(self, *names: str | Field) -> None:
        self.names = tuple(map(column_name, names))

    def __repr__(self) -> str:
        return f"First({', '.join(map(repr, self.names))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, First) and self.names == other.names

    def __hash__(self) -> int:
        return hash(("First", self.names))


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of inputs and steps, and the layout of the data, before values are fitted.

    Args:
        inputs: the fields of the single input.
        steps: the fields of a step, in the order in which they are sampled.
        form: the form of a generated sequence: `"text"` str, `"list"` list of values, `"records"` list of dicts,
            `"vectors"` list of lists (one per step, F columns).
        layout: `"rows"`: one row an example; `"long"`: one row a step.
        id: the column that identifies sequences, in the long layout.
        order: the column that orders the steps of one id, in the long layout.
        first: the inputs that hold the value *before* step 0 of the step field of the same name, from which a
            difference or a log-return of step 0 is taken.
        sequence: the column that holds the sequence in the layout `"rows"`, and its name elsewhere.
        relations: between the columns of a step, see `unspool.schema.relations`.
        columns: of a step, in the order of the table; empty where it is that of the fields.

    Raises:
        SchemaError: a field in a role that it can't have, or a name that two fields of one role share.
    """

    inputs: tuple[AnyField, ...]
    steps: tuple[AnyField, ...]
    form: Form
    layout: Layout = "rows"
    id: str | None = None
    order: str | None = None
    first: tuple[str, ...] = ()
    sequence: str = "sequence"
    relations: tuple[AnyRelation, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role, fields, kinds in (("input", self.inputs, INPUT_KINDS), ("step", self.steps, STEP_KINDS)):
            _check_role(role, fields, kinds)
        shown = [name for field in self.steps for name in field.columns]
        twice = sorted({name for name in shown if shown.count(name) > 1})
        if twice:
            raise SchemaError("step fields", "every column in one field", f"{', '.join(twice)} in more than one")
        self._check_relations()
        if self.form == "text" and not (len(self.steps) == 1 and isinstance(self.steps[0], Text)):
            raise SchemaError("schema", "exactly one Text field, because the form is text", repr(self.steps))
        cut = [field.name for field in self.steps if isinstance(field, Text) and field.unit != "char"]
        if cut and self.form != "text":
            hint = f"Pass Text({cut[0]!r}), or give the whole text in one cell."
            raise SchemaError(f"step field {cut[0]!r}", "whole texts, to be cut into words or pieces", self.form, hint)
        unknown = set(self.first) - {field.name for field in self.inputs}
        if unknown:
            raise SchemaError("schema, first", "names of input fields", ", ".join(sorted(unknown)))
        dates = {field.name for field in self.inputs if isinstance(field, When)}
        for field in self.steps:
            if isinstance(field, When) and field.since is not None and field.since not in dates:
                location = f"When({field.name!r}, since=...)"
                raise SchemaError(location, "the name of an input that is a date", repr(field.since))

    def _check_relations(self) -> None:
        """Refuse relations of columns that are not there, or that come later."""
        before: set[str] = set()
        for field in self.steps:
            references = set(field.references)
            if not references <= before:
                expected = f"columns of earlier fields for {field.name!r}"
                raise SchemaError("schema, relations", expected, ", ".join(sorted(references - before)))
            before |= set(field.columns)
        for relation in self.relations:
            needed = set(relation.columns) - set(derived_columns([relation]))
            if not needed <= before:
                raise SchemaError("schema, relations", "columns of a step", ", ".join(sorted(needed - before)))
            before |= set(derived_columns([relation]))
        if self.columns and set(self.columns) != before:
            raise SchemaError("schema, columns", ", ".join(sorted(before)), ", ".join(self.columns))

    @property
    def step_columns(self) -> tuple[str, ...]:
        """The columns of a step, those that are not learned among them, in the order of the table."""
        return self.columns or tuple(name for field in self.steps for name in field.columns)

    @property
    def sentinels(self) -> dict[str, str]:
        """By name of a date of a step, the date that stands for none."""
        fields = (*self.steps, *self.derived.values())
        return {field.name: field.sentinel for field in fields if isinstance(field, When) and field.sentinel}

    @property
    def derived(self) -> dict[str, AnyField]:
        """The fields of the columns of a step that are not learned, see `unspool.schema.relations.derive`."""
        return derived_fields(self.steps, self.relations)

    @property
    def is_unconditional(self) -> bool:
        """Whether sequences have no inputs: the only one is constant."""
        return self.inputs == (Category(NO_INPUT),)

    def describe(self, found: dict[tuple[str, str], str] | None = None, length: str = "") -> str:
        """The aligned table of the fields that a fit prints, with descriptions by (role, name) and of the lengths.

        Examples:
            >>> print(Schema((Category("country"),), (Text("name"),), "text", sequence="name").describe())
            input  country  Category
            step   name     Text
        """
        found, lines = found or {}, []
        for role, fields in (("input", self.inputs), ("step", self.steps)):
            for field in fields:
                details = [found.get((role, field.name), "")]
                for option, default in (
                    ("since", None),
                    ("sentinel", None),
                    ("distribution", "auto"),
                    ("mean", "auto"),
                    ("unit", "char"),
                ):
                    if getattr(field, option, default) != default:
                        details.append(f"{option} {getattr(field, option)}")
                cells = [role, field.name, field.kind, ", ".join(filter(None, details))]
                lines.append([readable(cell, MAX_SHOWN_CELL, keep="") for cell in cells])
        lines += [["", "", "always", readable(str(relation), MAX_SHOWN_CELL, keep="")] for relation in self.relations]
        if length:
            lines.append(["", "", "length", length])
        widths = [max(len(line[column]) for line in lines) for column in range(3)] + [0]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join(row.rstrip() for row in rows)


def derived_fields(steps: Iterable[AnyField], relations: Iterable[AnyRelation]) -> dict[str, AnyField]:
    """The fields of the columns of a step that are not learned, by name, from those that are."""
    fields: dict[str, AnyField] = {field.name: field for field in steps}
    derived: dict[str, AnyField] = {}
    for name, relation in derived_columns(relations).items():
        same = fields[relation.columns[1]] if isinstance(relation, Equal) else Number(name)
        kept: dict[str, Any] = {"above": (), "below": ()} if isinstance(same, (Number, When)) else {}
        kept |= {"near": (), "running": None} if isinstance(same, Number) else {}
        fields[name] = derived[name] = msgspec.structs.replace(same, name=name, **kept)
    return derived


def _check_role(role: str, fields: tuple[Any, ...], kinds: tuple[type, ...]) -> None:
    """Refuse a role without fields, fields that can't have it, and names given twice."""
    allowed = ", ".join(kind.__name__ for kind in kinds)
    if not fields:
        raise SchemaError(f"{role} fields", "at least one", "none")
    for field in fields:
        if not isinstance(field, kinds):
            raise SchemaError(f"{role} field {field.name!r}", f"one of {allowed}", type(field).__name__)
        if role == "input" and isinstance(field, Number) and field.transform in SERIES_TRANSFORMS:
            location, hint = f"input field {field.name!r}", "Use it on a step field."
            raise SchemaError(location, "a transform of a single value", field.transform, hint)
    names = [field.name for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"{role} fields", "every name once", f"{', '.join(twice)} more than once")
