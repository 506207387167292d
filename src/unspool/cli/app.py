"""The program `unspool`: it parses a command line, calls the library, and reports errors."""

import io
import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from unspool.cli.demo import demo
from unspool.cli.evaluate import evaluate
from unspool.cli.explain import explain
from unspool.cli.export import export
from unspool.cli.fit import fit_file
from unspool.cli.generate import generate, sample
from unspool.cli.inspect import inspect
from unspool.cli.plot import plot
from unspool.cli.serve import serve
from unspool.cli.wording import in_cli_syntax, parsing_mistake
from unspool.errors import UnspoolError, readable
from unspool.runtime.progress import heard
from unspool.runtime.stopping import INTERRUPTED, end_on_interrupts, exit_if_interrupted

MISTAKE, PIPE = 2, 141
"""Exit codes: a mistake that the user can correct, and a closed pipe (128 + the number of the signal)."""

HELP = """One input in, a whole sequence out.

Learn from a table which sequences belong to which input, then generate as many new ones as you like.

Start with `unspool demo names`.
"""


def _version() -> str:
    from importlib.metadata import version

    return version("unspool")


def _shown_default(value: object) -> str | None:
    """A default as the help shows it; options that are open or off show none."""
    return None if value is None or value is False else "on" if value is True else str(value)


app = App(
    name="unspool",
    help=HELP,
    help_format="markdown",
    version=_version,
    default_parameter=Parameter(negative=(), show_default=_shown_default),
    suppress_keyboard_interrupt=False,
)
app.command(fit_file, name="fit")
for command in (generate, sample, evaluate, explain, export, plot, inspect, serve, demo):
    app.command(command)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit code."""
    words = sys.argv[1:] if tokens is None else tokens
    if tokens is None:
        end_on_interrupts()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console without UTF-8 shows another character in place of some
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        code = _run(words)
    if tokens is None:
        exit_if_interrupted(code)
    return code


def _run(words: Sequence[str]) -> int:
    try:
        with heard():
            code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()
    except CycloptsError as error:
        return _mistake(parsing_mistake(error, words))
    except UnspoolError as error:
        return _mistake(in_cli_syntax(error))
    except KeyboardInterrupt:
        return _mistake("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Python would report an error when it closes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    except OSError as error:
        if error.errno is None:
            raise
        return _mistake(f"{error.filename or 'standard output'}: {error.strerror}")
    return code if isinstance(code, int) else 0


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    """One line, without the place in the code."""
    print(f"unspool: {message}" if issubclass(category, UserWarning) else message, file=sys.stderr)


def _mistake(message: str, code: int = MISTAKE) -> int:
    print(readable(f"unspool: {message}"), file=sys.stderr)
    return code
