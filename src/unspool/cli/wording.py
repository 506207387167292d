"""Errors of the library in the syntax of the command line, and the new spelling of flags that were removed."""

import ast
import re
import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from unspool.cli.fields import KINDS, split_commas
from unspool.errors import OptionError, UnspoolError, close_matches
from unspool.options import RENAMED, Beam, Network, Sampling, Training

FIRST_KINDS = {"transform": "number", "head": "number", "mean": "number", "unit": "text"}
"""Removed flags for an option of a column, and the kind that they implied."""
REMOVED = (*("category", "number", "count", "text", "flag", "when", "vector"), *FIRST_KINDS)
"""Flags of version 0.1 that `--field` replaced."""
CALLS = {
    **{kind.__name__: "field" for kind in KINDS.values()},
    **dict.fromkeys((kind.__name__ for kind in (Network, Training, Sampling, Beam)), "options"),
    **dict.fromkeys(("generate", "evaluate", "OneToMany"), "options"),
    "First": "first",
}
"""Python calls in messages of the library, and their kind of flags."""
FLAG_NAMES = {"width": "--beam", "n": "-n", "samples": "-n"}
"""Flags whose names differ from those of the arguments."""
CALL = re.compile(rf"\b({'|'.join(CALLS)})\(((?:[^()]|\([^()]*\))*)\)")
ARGUMENT = re.compile(r"""\b(inputs|sequence|id|order|draw_inputs|rule|n|seed|length)=(-?\w+|"[^"]*"|\[[^\]]*\])?""")
"""A keyword argument outside of a call."""


PYTHON = re.compile(r"\b(?!2\()[\w.]+\((?!s\))|\bNone\b|\bNaN\b|\b\w+=[\[{(]|\bus\.\w")
"""Calls, constants and keyword arguments of Python."""
PYTHON_WORDS = {
    "Write None or NaN where": "Leave the cell empty where",
    "and None where one is missing": "and leave the cell empty where one is missing",
    ", or None": "",
    "None or none": "none",
    "None": "none",
    "True or False": "true or false",
}
"""Words of Python in messages, as the command line says them."""


def in_cli_syntax(error: UnspoolError) -> str:
    """The message of an error, with Python calls and arguments written as flags.

    Examples:
        >>> in_cli_syntax(UnspoolError("row 3", "a date", "'x'", "Correct the cell; or pass Category('day')."))
        "row 3: expected a date, found 'x'. Correct the cell; or pass --field day=category."
        >>> in_cli_syntax(OptionError("Network(size=0)", "a whole number >= 1", "0"))
        '--size 0: expected a whole number >= 1, found 0.'
    """
    parts = (error.location, error.expected, error.found, error.hint)
    location, expected, found, hint = (CALL.sub(_call, part) for part in parts)
    if ARGUMENT.fullmatch(location):
        location = ARGUMENT.sub(_argument, location)
    hint = ARGUMENT.sub(_argument, hint)
    for words, here in PYTHON_WORDS.items():
        expected, found, hint = (part.replace(words, here) for part in (expected, found, hint))
    return str(UnspoolError(location, expected, found, _without_python(hint)))


def _without_python(hint: str) -> str:
    """A hint without the clauses that only hold in Python."""
    if not PYTHON.search(hint):
        return hint
    sentences = []
    for sentence in re.split(r"(?<=\.) (?=[A-Z])", hint):
        clauses = [clause for clause in sentence.removesuffix(".").split("; ") if not PYTHON.search(clause)]
        if clauses:
            text = "; ".join(clauses).removeprefix("or ")
            sentences.append(f"{text[:1].upper()}{text[1:]}.")
    return " ".join(sentences)


def parsing_mistake(error: CycloptsError, words: Sequence[str]) -> str:
    """What is wrong with a command line that can't be parsed, and how it is right."""
    removed = new_spelling(words) if isinstance(error, UnknownOptionError) else None
    if removed:
        return str(removed)
    message = str(error)
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        flags = [name for argument in error.argument_collection if argument.parse for name in argument.names]
        close = close_matches(word.partition("=")[0], flags, 1)
        message = f"expected an option of this command, found {word}."
        if close:
            message += f" Did you mean {close[0]}?"
        elif "--input" in flags:
            message += f" Give the value of an input as -i {word.lstrip('-')}=VALUE."
    elif isinstance(error, UnusedCliTokensError):
        surplus = error.unused_tokens or [""]
        message = f"expected no further argument, found {' '.join(map(repr, surplus))}."
        if "=" in surplus[0]:
            message += f" Give the value of an input as -i {surplus[0]}."
    elif isinstance(error, MissingArgumentError) and error.argument and error.argument.names:
        message = f"{error.argument.names[0]}: expected a value, found none. {error.argument.parameter.help or ''}"
    command = " ".join(["unspool", *(error.command_chain or ())])
    return f"{message.rstrip()}\nSee `{command} --help`."


def new_spelling(words: Sequence[str]) -> OptionError | None:
    """The error about the removed flags of a command line, with their new spelling; None if it has none.

    Examples:
        >>> print(new_spelling(["fit", "--number", "wind", "--transform=wind=log1p"]))
        --number, --transform: expected --field wind=number,transform=log1p, found flags that version 0.2.0 removed.
    """
    fields: dict[str, list[str]] = {}
    flags: list[str] = []
    for at, word in enumerate(words):
        flag, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or flag not in REMOVED:
            continue
        flags.append(f"--{flag}")
        if not equals and at + 1 < len(words) and not words[at + 1].startswith("-"):
            value = words[at + 1]
        for name in split_commas(value or "NAME"):
            name, _, choice = name.partition("=")
            field = fields.setdefault(name, [""])
            if flag not in FIRST_KINDS:
                field[0] = flag
            else:
                field[0] = field[0] or FIRST_KINDS[flag]
                field.append(f"{RENAMED.get(flag, flag)}={RENAMED.get(choice, choice) or 'VALUE'}")
    if not flags:
        return None
    wanted = " ".join(f"--field {shlex.quote(f'{name}=' + ','.join(parts))}" for name, parts in fields.items())
    found = "a flag" if len(flags) == 1 else "flags"
    return OptionError(", ".join(dict.fromkeys(flags)), wanted, f"{found} that version 0.2.0 removed")


def _call(call: re.Match[str]) -> str:
    """A Python call as flags, or as it is if it can't be read."""
    try:
        node: Any = ast.parse(call[0], mode="eval").body
        values = [_text(ast.literal_eval(value)) for value in node.args]
        named = {key.arg: ast.literal_eval(key.value) for key in node.keywords}
    except (SyntaxError, ValueError):
        return call[0]
    if CALLS[call[1]] == "first":
        return f"--first {shlex.quote(','.join(values) or '*')}"
    if CALLS[call[1]] == "options":
        return " ".join(_flag(name, value) for name, value in named.items())
    name = values[0] if values and values[0] != "..." else "NAME"
    options = [f"{option}={option.upper() if value is ... else _text(value)}" for option, value in named.items()]
    return f"--field {shlex.quote(','.join([f'{name}={call[1].lower()}', *options]))}"


def _argument(argument: re.Match[str]) -> str:
    if argument[2] is None:
        return f"--{argument[1]}"
    value = ast.literal_eval(argument[2])
    return f"--{value}" if argument[1] == "rule" else _flag(argument[1], value)


def _flag(name: str, value: Any) -> str:
    flag = FLAG_NAMES.get(name, f"--{name.replace('_', '-')}")
    if isinstance(value, bool):
        return flag if value else flag.replace("--", "--no-", 1)
    return f"{flag} {name.upper() if value is ... else shlex.quote(_text(value))}"


def _text(value: Any) -> str:
    """A value as the user types it."""
    if isinstance(value, (list, tuple)):
        return (":" if isinstance(value, tuple) else ",").join("" if part is None else _text(part) for part in value)
    return "..." if value is ... else "none" if value is None else str(value)
