"""The command line: parse, call the library, render. Nothing heavy is imported before a command runs."""

import os
import re
import shlex
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from unspool.cli.demo import demo
from unspool.cli.evaluate import evaluate
from unspool.cli.fit import fit
from unspool.cli.generate import generate
from unspool.cli.inspect import inspect
from unspool.cli.plot import plot
from unspool.errors import UnspoolError

MISTAKE, INTERRUPTED, PIPE = 2, 130, 141
"""Exit codes: a mistake that the caller can mend, Ctrl-C, and a reader that went away (128 + the signal's number)."""

HELP = """One input in, a whole sequence out.

Learn from a table what sequences belong to what input, then make as many new ones as you like.

Start with `unspool demo names`.
"""


def _version() -> str:
    from importlib.metadata import version

    return version("unspool")


app = App(
    name="unspool",
    help=HELP,
    help_format="markdown",
    version=_version,
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
for command in (fit, generate, evaluate, plot, inspect, demo):
    app.command(command)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line, and return its exit code.

    Args:
        tokens: the words after `unspool`; by default those of the process.
    """
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _mistake(f"{error}\nTry `unspool --help`, or --help after the command.")
    except UnspoolError as error:
        return _mistake(as_flags(str(error)))
    except KeyboardInterrupt:
        return _mistake("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Python would complain when it closes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    except OSError as error:
        if error.errno is None:
            raise
        return _mistake(f"{error.filename or 'standard output'}: {error.strerror}")
    return code if isinstance(code, int) else 0


def as_flags(message: str) -> str:
    """A cure that says what to write in Python, as what to write here.

    Examples:
        >>> as_flags("Correct the cell; or pass Category('day') if it is meant.")
        'Correct the cell; or pass --category day if it is meant.'
    """
    return re.sub(r"(?i)(?<=pass )(category|number|count|text|flag|when|vector)\('([^']+)'\)", _flag, message)


def _flag(kind: re.Match[str]) -> str:
    return f"--{kind[1].lower()} {shlex.quote(kind[2])}"


def _mistake(message: str, code: int = MISTAKE) -> int:
    print(f"unspool: {message}", file=sys.stderr)
    return code
