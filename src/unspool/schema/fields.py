"""The fields of the input and of the step: what each column is, apart from what training found in it."""

from typing import Any, ClassVar, Literal, get_args

import msgspec

from unspool.errors import OptionError, SchemaError
from unspool.options import OptionMeta, renamed

Transform = Literal[
    "auto", "none", "standardize", "log1p", "asinh", "difference", "log_return", "increment", "decrement"
]
"""How a number is made comparable before the network sees it; every one is invertible."""

DistributionName = Literal["auto", "normal", "student_t", "mixture", "discretized", "histogram", "point"]
"""The output distribution of a number."""

MeanChoice = Literal["auto", "learned", "constant"]
"""Whether the mean of a number follows input and history."""

Bounds = Literal["auto", "data"] | tuple[float | None, float | None] | None
"""What no draw of a number violates."""

BYTE_SYMBOLS = 256
"""Pieces that are a single byte: any text can be written with them."""

MONOTONE_TRANSFORMS = ("increment", "decrement")
"""Transforms of numbers that never fall, and that never rise."""
SERIES_TRANSFORMS = ("difference", "log_return", *MONOTONE_TRANSFORMS)
"""Transforms that look at the value before, and so are for steps."""

TextUnit = Literal["char", "word", "bpe"]
"""What one step of a text is."""

Form = Literal["text", "list", "records", "vectors"]
"""How one sequence is shown: str, list of values, list of dicts, list of lists."""

Layout = Literal["rows", "long"]
"""Where a sequence lives in a table: in one cell of one row, or in many rows that share an id."""


def _tag(name: str) -> str:
    return name.lower()


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=_tag, metaclass=OptionMeta):
    """A named column. Use one of the kinds below, not this base.

    Args:
        name: the column's name.
    """

    name: str

    what: ClassVar[str] = "a value"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            location = f"{type(self).__name__}({self.name!r})"
            raise OptionError(location, "the name of a column, a non-empty str", repr(self.name))

    @property
    def kind(self) -> str:
        """The kind as shown to the user: the class's name."""
        return type(self).__name__

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table that it stands for: its members, or the one of its name."""
        return getattr(self, "members", (self.name,))


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
        transform: how it is made comparable; `"auto"` decides by the data (see `unspool.schema.inference`).
            `"difference"`, `"log_return"`, `"increment"` and `"decrement"` are for steps only. An increment is never
            negative: a number that is seen by increments never falls, and one that is seen by decrements never rises.
        distribution: its output distribution, when it is a field of the step; `"auto"` decides by the data: a
            `"discretized"` mixture for whole numbers and decimals on a grid, a `"mixture"` of normals for others; and
            where the data are enough, a short trial may find another one better, see `unspool.training.selection`.
        bounds: what no sample violates, when it is a field of the step: `(low, high)`, either may be `None`; `"data"`,
            the range of training; `"auto"`, 0 and above where training was never negative; `None`, nothing. A number
            that is seen by differences or log-returns keeps them too: the step is sampled given that its end lies
            within. Increments and decrements are bounds in themselves, and take no others but `(0, None)`.
        mean: whether the mean of what is modelled, the number or its change, may follow input and history, when it is a
            field of the step: `"learned"`; `"constant"`, that of training, as of returns on a market; `"auto"`, learned
            unless it earns next to nothing on held-out data.

    Raises:
        OptionError: an unknown transform, distribution or mean, or bounds that no number is within.

    Examples:
        >>> Number("price", transform="log_return").transform
        'log_return'
    """

    transform: Transform = "auto"
    distribution: DistributionName = "auto"
    bounds: Bounds = "auto"
    mean: MeanChoice = "auto"

    what: ClassVar[str] = "a number"

    def __post_init__(self) -> None:
        super().__post_init__()
        options = {
            "transform": get_args(Transform),
            "distribution": get_args(DistributionName),
            "mean": get_args(MeanChoice),
        }
        for option, known in options.items():
            value = getattr(self, option)
            if value not in known:
                location = f"{self.kind}({self.name!r}, {option}=...)"
                raise OptionError(location, "one of " + ", ".join(known), repr(value), renamed(value))
        if (self.mean, self.distribution) == ("constant", "histogram"):
            location = f"{self.kind}({self.name!r}, mean='constant')"
            raise OptionError(
                location, "a distribution that can be moved", "'histogram'", "Leave the distribution open, or the mean."
            )
        if not legal_bounds(self.bounds):
            expected = "'auto', 'data', None, or (low, high) with low < high, either of which may be None"
            raise OptionError(f"{self.kind}({self.name!r}, bounds=...)", expected, repr(self.bounds))


def legal_bounds(bounds: Any) -> bool:
    """Whether bounds are of a legal form, and leave any number between them.

    Examples:
        >>> legal_bounds((0.0, None)), legal_bounds((1.0, 1.0)), legal_bounds("tight")
        (True, False, False)
    """
    if bounds is None or isinstance(bounds, str):
        return bounds in (None, "auto", "data")
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        return False
    ends = [end for end in bounds if end is not None]
    numbers = all(
        isinstance(end, (int, float)) and not isinstance(end, bool) and abs(end) < float("inf") for end in ends
    )
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


class Vector(Field, frozen=True):
    """A list of numbers, equally long in every row: a colour, an embedding. Input only."""

    what: ClassVar[str] = "a list of numbers, equally long in every row"


class Flag(Field, frozen=True):
    """True or false."""

    what: ClassVar[str] = "true or false"


class Flags(Field, frozen=True):
    """A block of columns that are true or false, as one field whose members depend on each other. Step only.

    Where a step has one member missing it must have all of them missing.

    Args:
        name: of the block.
        members: the columns; at least two.

    Raises:
        OptionError: fewer than two columns, or one twice.

    Examples:
        >>> len(Flags("symptoms", ["fever", "cough", "rash"]).members)
        3
    """

    members: tuple[str, ...] = ()

    what: ClassVar[str] = "columns that are true or false"

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "members", member_names(self.members, f"Flags({self.name!r}, members=...)"))


class Joint(Field, frozen=True):
    """Several categories of a step as one symbol: only the combinations that training saw are generated. Step only.

    `OneToMany(combinations=...)` makes such fields.

    Args:
        name: of them together.
        members: the columns; at least two.

    Raises:
        OptionError: fewer than two columns, or one twice.
    """

    members: tuple[str, ...] = ()

    what: ClassVar[str] = "columns that are categories"

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "members", member_names(self.members, f"Joint({self.name!r}, members=...)"))


def member_names(members: Any, location: str) -> tuple[str, ...]:
    """The columns of a field that stands for several.

    Raises:
        OptionError: fewer than two, or one twice.
    """
    names = tuple(members) if isinstance(members, (list, tuple)) else ()
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise OptionError(location, "the names of two or more columns, none twice", repr(members))
    return names


class When(Field, frozen=True):
    """A date or a moment; without a time zone, or in UTC. In a step it is modelled as the time since the step before.

    Where training never goes back in time within a sequence, nothing that is generated does.

    Args:
        name: the column's name.
        distribution: of the time since the step before, when it is a field of the step; as of a `Number`.
        since: the input, a date, that the first step is counted from. By default it is the nearest one that no sequence
            starts before, if there is any; else what all sequences of training start after.
    """

    distribution: DistributionName = "auto"
    since: str | None = None

    what: ClassVar[str] = "a date, or an ISO 8601 text such as 2026-01-31"


class Text(Field, frozen=True):
    """A string, generated piece by piece. Step only.

    Args:
        name: the column that holds the strings.
        unit: what one step is. `"char"`: a Unicode code point. `"word"`: a word or run of punctuation with the space
            before it, or a run of white space; words that are rare or unknown are spelled. `"bpe"`: a piece of a word,
            learned by byte-pair encoding, which needs the extra `text`.
        vocabulary: the most words, by default 20,000; or the most pieces, by default as many as the texts bear. Not of
            characters.

    Raises:
        OptionError: an unknown unit, or a vocabulary that it can't have.

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
            raise OptionError(
                f"Text({self.name!r}, unit=...)", "one of " + ", ".join(get_args(TextUnit)), repr(self.unit)
            )
        least = {"char": None, "word": 1, "bpe": BYTE_SYMBOLS}[self.unit]
        if self.vocabulary is None:
            return
        whole = isinstance(self.vocabulary, int) and not isinstance(self.vocabulary, bool)
        if least is None or not whole or self.vocabulary < least:
            expected = "no number, all characters are kept" if least is None else f"a whole number from {least} on"
            raise OptionError(f"Text({self.name!r}, vocabulary=...)", expected, repr(self.vocabulary))


AnyField = Category | Number | Count | Vector | Flag | Flags | Joint | When | Text
INPUT_KINDS = (Category, Number, Count, Vector, Flag, When)
STEP_KINDS = (Category, Number, Count, Flag, Flags, Joint, When, Text)


class First:
    """A request: the first record of every sequence is the single input, and the rest is generated.

    Args:
        *names: the step fields (names, or fields that override what is inferred of the *input*) whose
            first value is the input; none means all of them.

    Examples:
        >>> First("lat", "long")
        First('lat', 'long')
    """

    def __init__(self, *names: str | Field) -> None:
        self.names = names

    def __repr__(self) -> str:
        return f"First({', '.join(map(repr, self.names))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, First) and self.names == other.names

    def __hash__(self) -> int:
        return hash(("First", self.names))


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes in and what comes out: everything known of the columns before their values are fitted.

    Args:
        inputs: the fields of the single input.
        steps: the fields of a step, in the order in which they are drawn.
        form: how one sequence is shown: `"text"` str, `"list"` list of values, `"records"` list of dicts,
            `"vectors"` list of lists (one per step, F columns).
        layout: `"rows"`: one row an example; `"long"`: one row a step.
        id: the column that tells sequences apart, in the long layout.
        order: the column that orders the steps of one id, in the long layout.
        first: the inputs that hold the record *before* step 0 of the step field of the same name. They are
            the base that a difference or a log-return of step 0 is taken from.
        sequence: the column that holds the sequence in the layout `"rows"`; what it is called elsewhere.

    Raises:
        SchemaError: a field in a role it can't have, or a name that two fields of one role share.
    """

    inputs: tuple[AnyField, ...]
    steps: tuple[AnyField, ...]
    form: Form
    layout: Layout = "rows"
    id: str | None = None
    order: str | None = None
    first: tuple[str, ...] = ()
    sequence: str = "sequence"

    def __post_init__(self) -> None:
        for role, fields, kinds in (("input", self.inputs, INPUT_KINDS), ("step", self.steps, STEP_KINDS)):
            check_role(role, fields, kinds)
        shown = [name for field in self.steps for name in field.columns]
        twice = sorted({name for name in shown if shown.count(name) > 1})
        if twice:
            raise SchemaError("step fields", "every column in one field", f"{', '.join(twice)} in more than one")
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
                expected = "the name of an input that is a date"
                raise SchemaError(f"When({field.name!r}, since=...)", expected, repr(field.since))

    def describe(self, found: dict[tuple[str, str], str] | None = None, length: str = "") -> str:
        """The aligned table that a fit prints, so that a wrong guess is seen before it costs anything.

        Args:
            found: what is known of a field beyond its kind, by (role, name); see `Codec.describe`.
            length: one line about the lengths of the sequences.

        Examples:
            >>> print(Schema((Category("country"),), (Text("name"),), "text", sequence="name").describe())
            input  country  Category
            step   name     Text
        """
        found = found or {}
        lines = []
        for role, fields in (("input", self.inputs), ("step", self.steps)):
            for field in fields:
                more = [found.get((role, field.name), "")]
                if isinstance(field, When) and field.since:
                    more.append(f"since {field.since}")
                if isinstance(field, (Number, When)) and field.distribution != "auto":
                    more.append(f"distribution {field.distribution}")
                if isinstance(field, Number) and field.mean != "auto":
                    more.append(f"mean {field.mean}")
                if isinstance(field, Text) and field.unit != "char":
                    more.append(f"unit {field.unit}")
                lines.append([role, field.name, field.kind, ", ".join(filter(None, more))])
        if length:
            lines.append(["", "", "length", length])
        widths = [max(len(line[column]) for line in lines) for column in range(3)] + [0]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join(row.rstrip() for row in rows)


def check_role(role: str, fields: tuple[Any, ...], kinds: tuple[type, ...]) -> None:
    """Refuse fields that can't have this role, none at all, and names given twice."""
    allowed = ", ".join(kind.__name__ for kind in kinds)
    if not fields:
        raise SchemaError(f"{role} fields", "at least one", "none")
    for field in fields:
        if not isinstance(field, kinds):
            raise SchemaError(f"{role} field {field.name!r}", f"one of {allowed}", type(field).__name__)
        if role == "input" and isinstance(field, Number) and field.transform in SERIES_TRANSFORMS:
            raise SchemaError(
                f"input field {field.name!r}",
                "a transform of a single value",
                field.transform,
                "Use it on a step field.",
            )
    names = [field.name for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"{role} fields", "every name once", f"{', '.join(twice)} more than once")
