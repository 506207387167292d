"""`--field NAME=KIND,OPTION=VALUE,...`: the kinds of columns and their options, read from `unspool.schema.fields`."""

import contextlib
import csv
import difflib
import re
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec

from unspool.errors import OptionError
from unspool.options import renamed
from unspool.schema.fields import AnyField, Field

KINDS: dict[str, type[Field]] = {kind.__name__.lower(): kind for kind in get_args(AnyField)}
GRAMMAR = "NAME=KIND,OPTION=VALUE,..."


def options_of(kind: type[Field]) -> dict[str, Any]:
    """The types of the options of a kind, by name."""
    return {field.name: field.type for field in msgspec.structs.fields(kind) if field.name != "name"}


def kinds_help() -> str:
    """Every kind with its options and what they take, a line for the kinds that share them.

    Examples:
        >>> print(kinds_help().splitlines()[-1])
        - text: unit=char | word | bpe; vocabulary=NUMBER | none
    """
    lines: dict[str, list[str]] = {}
    for name, kind in KINDS.items():
        options = "; ".join(f"{option}={' | '.join(_accepted(type_))}" for option, type_ in options_of(kind).items())
        lines.setdefault(options, []).append(name)
    return "\n".join(f"- {', '.join(names)}" + f": {options}" * bool(options) for options, names in lines.items())


def parse_fields(texts: Iterable[str] | None) -> dict[str, Field]:
    """The fields that the command line decides, by name.

    Raises:
        OptionError: a text that breaks the grammar, an unknown kind, option or value, or two fields of one name.
    """
    fields: dict[str, Field] = {}
    for text in texts or ():
        field = parse_field(text)
        if field.name in fields:
            raise OptionError(f"--field {text}", f"one --field for the column {field.name!r}", "two")
        fields[field.name] = field
    return fields


def parse_field(text: str) -> Field:
    """One field.

    Raises:
        OptionError: a text that breaks the grammar, or an unknown kind, option or value.

    Examples:
        >>> parse_field("wind=number,transform=log1p,bounds=0:").bounds
        (0.0, None)
        >>> parse_field("symptoms=flags,members=fever:cough").members
        ('fever', 'cough')
    """
    location = f"--field {text}"
    head, *rest = split_commas(text) or [""]
    name, equals, word = head.partition("=")
    if not (name and equals):
        raise OptionError(location, GRAMMAR, repr(head), "Name the column first, then its kind.")
    kind = KINDS.get(word)
    if kind is None:
        raise OptionError(location, f"one of the kinds {', '.join(KINDS)}", repr(word), _kind_hint(name, word, rest))
    known, given = options_of(kind), dict[str, str]()
    for part in rest:
        option, equals, value = part.partition("=")
        if option not in known or not equals or option in given:
            raise _wrong_option(location, word, part, option in given)
        given[option] = value
    values = {option: parse_value(f"{location}: {option}", value, known[option]) for option, value in given.items()}
    try:
        return kind(name, **values)
    except OptionError as error:
        raise _in_own_words(location, error, known, given) from None


def parse_value(location: str, text: str, kind: Any) -> Any:
    """A typed value as a value of an option's type: `none` for None, colons between the parts of a tuple.

    Raises:
        OptionError: the text is no such value.

    Examples:
        >>> parse_value("bounds", ":100", tuple[float | None, float | None] | None)
        (None, 100.0)
    """
    parts = [part or None for part in text.split(":")]
    for candidate in (text, *([None] if text == "none" else []), *([parts] if ":" in text else [])):
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(candidate, kind, strict=False)
    raise OptionError(location, expected_values(kind), repr(text), renamed(text) or did_you_mean(text, _accepted(kind)))


def expected_values(kind: Any) -> str:
    """What an option takes, in the syntax of the command line.

    Examples:
        >>> expected_values(Literal["auto", "data"] | tuple[float | None, float | None] | None)
        'auto, data, LOW:HIGH or none, where LOW is below HIGH and either may be left out'
    """
    accepted = list(_accepted(kind))
    text = " or ".join(filter(None, [", ".join(accepted[:-1]), accepted[-1]]))
    return text + next((note for form, note in NOTES.items() if form in accepted), "")


NOTES = {
    "LOW:HIGH": ", where LOW is below HIGH and either may be left out",
    "NAME:NAME:...": ", two names or more and none twice",
}
"""What else must be said of the forms that options take."""


def _accepted(kind: Any) -> Iterator[str]:
    """What an option takes, piece by piece: words in small letters as they are typed, and forms in capitals."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        yield from parts
    elif get_origin(kind) is tuple:
        yield "NAME:NAME:..." if parts[-1] is ... else "LOW:HIGH"
    elif parts:
        for part in parts:
            yield from _accepted(part)
    else:
        yield {NoneType: "none", int: "NUMBER", float: "NUMBER"}.get(kind, "NAME")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or nothing where none is close.

    Examples:
        >>> did_you_mean("numbr", ["number", "text"])
        "Did you mean 'number'?"
    """
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def split_commas(text: str) -> list[str]:
    """The parts between commas, without the spaces around them; a part in double quotes may hold commas.

    Raises:
        OptionError: a line break outside of double quotes.

    Examples:
        >>> split_commas('lat, "wind, knots"=number')
        ['lat', 'wind, knots=number']
    """
    try:
        return [part.strip() for row in csv.reader([text], skipinitialspace=True) for part in row]
    except csv.Error as error:
        raise OptionError(text, "parts between commas", str(error), "Put a part with a line break in quotes.") from None


def _kind_hint(name: str, word: str, rest: list[str]) -> str:
    """What to write in place of an unknown kind; an option in its place is put behind the kinds that have it."""
    options = [part for part in (word, *rest) if "=" in part]
    owners = [kind for kind, cls in KINDS.items() if options and options[0].partition("=")[0] in options_of(cls)]
    return f"Write {name}={owners[0]},{','.join(options)}." if owners else did_you_mean(word, KINDS)


def _wrong_option(location: str, kind: str, part: str, twice: bool) -> OptionError:
    known = options_of(KINDS[kind])
    option = part.partition("=")[0]
    if twice:
        return OptionError(location, f"the option {option!r} once", "it twice")
    if not known:
        return OptionError(location, f"no options of the kind {kind}", repr(part))
    owners = [name for name, other in KINDS.items() if option in options_of(other)]
    hint = (
        f"{option!r} is an option of {' and '.join(owners)}."
        if owners
        else renamed(option) or did_you_mean(option, known)
    )
    return OptionError(
        location, f"OPTION=VALUE, OPTION one of {', '.join(known)}", repr(part), hint if option not in known else ""
    )


def _in_own_words(location: str, error: OptionError, known: dict[str, Any], given: dict[str, str]) -> OptionError:
    """The error of a field's class; a tuple is described as it is typed here."""
    option = re.search(r", (\w+)=", error.location)
    expected = expected_values(known[option[1]]) if option else ""
    if option is None or ":" not in expected:
        return OptionError(location, error.expected, error.found, error.hint)
    return OptionError(f"{location}: {option[1]}", expected, repr(given.get(option[1], "")))
