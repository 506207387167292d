"""`--field NAME=KIND,OPTION=VALUE,...`, with the kinds and options of `unspool.schema.fields`."""

import contextlib
import csv
import re
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec

from unspool.errors import OptionError, did_you_mean
from unspool.options import hint_for
from unspool.schema.fields import AnyField, Field

KINDS: dict[str, type[Field]] = {kind.__name__.lower(): kind for kind in get_args(AnyField)}
GRAMMAR = "NAME=KIND,OPTION=VALUE,..."


def _options_of(kind: type[Field]) -> dict[str, Any]:
    """The types of the options of a kind, by name."""
    return {field.name: field.type for field in msgspec.structs.fields(kind) if field.name != "name"}


def kinds_help() -> str:
    """Every kind with its options and their values; kinds with the same options share a line.

    Examples:
        >>> print(kinds_help().splitlines()[-1])
        - text: unit=char | word | bpe; vocabulary=NUMBER | none
    """
    lines: dict[str, list[str]] = {}
    for name, kind in KINDS.items():
        options = "; ".join(f"{option}={' | '.join(_accepted(type_))}" for option, type_ in _options_of(kind).items())
        lines.setdefault(options, []).append(name)
    return "\n".join(f"- {', '.join(names)}" + f": {options}" * bool(options) for options, names in lines.items())


def parse_fields(texts: Iterable[str] | None) -> dict[str, Field]:
    """The fields of the command line by name, at most one for each name."""
    fields: dict[str, Field] = {}
    for text in texts or ():
        field = parse_field(text)
        if field.name in fields:
            raise OptionError(f"--field {text}", f"one --field for the column {field.name!r}", "two")
        fields[field.name] = field
    return fields


def parse_field(text: str) -> Field:
    """A field from its text.

    Raises:
        OptionError: a text of another form, or an unknown kind, option or value.

    Examples:
        >>> parse_field("wind=number,transform=log1p,bounds=0:").bounds
        (0.0, None)
    """
    location = f"--field {text}"
    head, *rest = split_commas(text) or [""]
    name, equals, word = head.partition("=")
    if not (name and equals):
        raise OptionError(location, GRAMMAR, repr(head), "Name the column first, then its kind.")
    kind = KINDS.get(word)
    if kind is None:
        raise OptionError(location, f"one of the kinds {', '.join(KINDS)}", repr(word), _kind_hint(name, word, rest))
    known, given = _options_of(kind), dict[str, str]()
    for part in rest:
        option, equals, value = part.partition("=")
        if option not in known or not equals or option in given:
            raise _wrong_option(location, word, part, twice=option in given)
        given[option] = value
    values = {option: _parse_value(f"{location}: {option}", value, known[option]) for option, value in given.items()}
    try:
        return kind(name, **values)
    except OptionError as error:
        raise _in_cli_form(location, error, known, given) from None


def _parse_value(location: str, text: str, kind: Any) -> Any:
    """A text as a value of an option's type: `none` is None, and colons separate the parts of a tuple."""
    parts = [part or None for part in text.split(":")]
    for candidate in (text, *([None] if text == "none" else []), *([parts] if ":" in text else [])):
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(candidate, kind, strict=False)
    hint = hint_for(text, [word for word in _accepted(kind) if word.islower()])
    raise OptionError(location, _expected_values(kind), repr(text), hint)


def _expected_values(kind: Any) -> str:
    """The values of an option, in the syntax of the command line: `auto, data, LOW:HIGH or none, where ...`."""
    accepted = list(_accepted(kind))
    text = " or ".join(filter(None, [", ".join(accepted[:-1]), accepted[-1]]))
    return text + next((note for form, note in NOTES.items() if form in accepted), "")


NOTES = {
    "LOW:HIGH": ", where LOW is below HIGH and either may be left out",
    "NAME:NAME:...": ", two names or more and none twice",
}
"""Conditions of the forms of options."""


def _accepted(kind: Any) -> Iterator[str]:
    """The values of an option one by one: words in small letters as they are typed, and forms in capitals."""
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


def split_commas(text: str) -> list[str]:
    """The parts between commas, without the spaces around them; a part with commas is in double quotes.

    Examples:
        >>> split_commas('lat, "wind, knots"=number')
        ['lat', 'wind, knots=number']
    """
    try:
        return [part.strip() for row in csv.reader([text], skipinitialspace=True) for part in row]
    except csv.Error as error:
        raise OptionError(text, "parts between commas", str(error), "Put a part with a line break in quotes.") from None


def _kind_hint(name: str, word: str, rest: list[str]) -> str:
    """A hint about an unknown kind; if an option is in its place, the text with the kind before it."""
    options = [part for part in (word, *rest) if "=" in part]
    owners = _kinds_with(options[0].partition("=")[0]) if options else []
    return f"Write {name}={owners[0]},{','.join(options)}." if owners else did_you_mean(word, KINDS)


def _kinds_with(option: str) -> list[str]:
    return [name for name, kind in KINDS.items() if option in _options_of(kind)]


def _wrong_option(location: str, kind: str, part: str, *, twice: bool) -> OptionError:
    known, option = _options_of(KINDS[kind]), part.partition("=")[0]
    if twice:
        return OptionError(location, f"the option {option!r} once", "it twice")
    if not known:
        return OptionError(location, f"no options of the kind {kind}", repr(part))
    hint = ""
    if option not in known and (owners := _kinds_with(option)):
        hint = f"{option!r} is an option of {' and '.join(owners)}."
    elif option not in known:
        hint = hint_for(option, known)
    return OptionError(location, f"OPTION=VALUE, OPTION one of {', '.join(known)}", repr(part), hint)


def _in_cli_form(location: str, error: OptionError, known: dict[str, Any], given: dict[str, str]) -> OptionError:
    """The error of a field's class, with tuples as they are typed here."""
    option = re.search(r", (\w+)=", error.location)
    expected = _expected_values(known[option[1]]) if option else ""
    if option is None or ":" not in expected:
        return OptionError(location, error.expected, error.found, error.hint)
    return OptionError(f"{location}: {option[1]}", expected, repr(given.get(option[1], "")))
