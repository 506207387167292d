"""Arguments that name columns and values, converted to those of the library."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from unspool.cli.fields import split_commas
from unspool.cli.files import source
from unspool.errors import OptionError, SchemaError

if TYPE_CHECKING:
    from unspool.encoding.codec import Codec
    from unspool.encoding.columns import StepColumn


def column_names(texts: Iterable[str] | None) -> list[str]:
    """Column names, separated by commas; a name with a comma is in double quotes.

    Examples:
        >>> column_names(["lat,long", '"wind, knots"'])
        ['lat', 'long', 'wind, knots']
    """
    return [name for text in texts or () for name in split_commas(text) if name]


class Member(NamedTuple):
    """A column of a table: its fitted column, and its number among the members of that."""

    fitted: "StepColumn"
    number: int

    @property
    def is_range(self) -> bool:
        """Whether `--allow` takes a range of it: of numbers and dates."""
        return self.fitted.num_symbols is None and self.fitted.types[self.number] != "bool"

    def parse(self, text: str, location: str) -> Any:
        """A typed text as a value; an empty text is a missing value."""
        return None if text == "" else self.fitted.parse(text, location, self.number)


def step_columns(codec: "Codec") -> dict[str, Member]:
    """The columns of a step by name; each member of a group is a column."""
    fitted = codec.step_columns()
    return {name: Member(column, k) for field, column in fitted for k, name in enumerate(field.columns)}


def typed_pins(codec: "Codec", given: Iterable[str] | None) -> dict[int, dict[str, Any]] | None:
    """The argument `pin` of `OneToMany.generate` from texts STEP.NAME=VALUE, at most one for each step and name."""
    columns = step_columns(codec)
    pins: dict[int, dict[str, Any]] = {}
    for text in given or ():
        location, equals, value = text.partition("=")
        step, dot, name = location.partition(".")
        if not (equals and dot and step.isdecimal()) or name not in columns:
            known = f"STEP.NAME=VALUE, NAME one of {', '.join(columns)}"
            raise OptionError("--pin", f"{known}, steps counted from 0", repr(text))
        if name in pins.get(int(step), {}):
            raise OptionError("--pin", "every value once", f"{step}.{name} twice")
        pins.setdefault(int(step), {})[name] = columns[name].parse(value, f"pin: step {step}, column {name!r}")
    return pins or None


def typed_allow(codec: "Codec", given: Iterable[str] | None) -> dict[str, Any] | None:
    """The argument `allow` of `OneToMany.generate` from texts NAME=VALUE,VALUE or NAME=LOW..HIGH, each name once."""
    columns = step_columns(codec)
    allow: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or name in allow:
            raise OptionError("--allow", "NAME=VALUE, each name once", repr(text))
        if name not in columns:
            raise OptionError("--allow", f"one of the columns {', '.join(columns)}", repr(name))
        column, (low, dots, high) = columns[name], value.partition("..")
        if column.is_range and not dots:
            raise OptionError("--allow", f"{name}=LOW..HIGH, either of which may be left out", repr(value))
        parts = (low, high) if column.is_range else column_names([value]) or [""]
        parsed = [column.parse(part, f"allow, column {name!r}") for part in parts]
        allow[name] = tuple(parsed) if column.is_range else parsed
    return allow or None


def typed_inputs(codec: "Codec", given: Iterable[str] | None, table: str | None) -> Any:
    """The table of inputs, from typed texts NAME=VALUE, a file or standard input.

    Of typed texts, a repeated name has a row for each of its values, and a name given once holds for all rows. Inputs
    may be missing, which are drawn.
    """
    if codec.schema.is_unconditional and not given and table is None:
        return codec.read_inputs(None)
    known = [field.name for field in codec.schema.inputs]
    example = " ".join(f"--input {name}=..." for name in known)
    given = list(given or ())
    if bool(given) == (table is not None):
        hint = f"This model takes {example}; to sample the inputs too, use unspool sample."
        raise OptionError("inputs", "either --input or --inputs-from", "both" if given else "neither", hint)
    if table is not None:
        read = codec.read_inputs(source(table), some=True)
        if not set(known) & set(read.columns):
            error = read.unknown(known)
            raise SchemaError(error.location, error.expected, error.found, "To draw the inputs, use unspool sample.")
        return read
    texts: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise OptionError("--input", f"one of {', '.join(f'{name}=VALUE' for name in known)}", repr(text))
        texts.setdefault(name, []).append(value)
    rows = max(map(len, texts.values()))
    uneven = [f"{len(values)} of {name!r}" for name, values in texts.items() if len(values) not in (1, rows)]
    if uneven:
        raise OptionError("--input", f"one value for all rows, or {rows}", ", ".join(uneven))
    parsed = codec.parse_inputs(texts)
    whole = {name: values * (rows if len(values) == 1 else 1) for name, values in parsed.items()}
    return codec.read_inputs(whole, some=True)
