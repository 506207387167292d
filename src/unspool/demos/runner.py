"""The list of demonstrations, and the function that runs one of them."""

import importlib
import time
from pathlib import Path

from unspool.errors import MissingExtra, OptionError

DEMOS = {
    "names": "the kind of a name (male, female, surname) to the name, character by character",
    "colours": "an RGB vector to the name that respondents of a survey gave the colour",
    "returns": "the state of the S&P 500 on a day to its next 20 daily log-returns",
}
"""The demonstrations, with the input and the sequence of each."""


def run_demo(name: str, folder: Path = Path()) -> None:
    """Run one of `DEMOS`, which prints its results, and writes a model and a picture to a folder.

    Raises:
        OptionError: an unknown demonstration.
        MissingExtra: its data or matplotlib are not installed.
    """
    if name not in DEMOS:
        raise OptionError("demo", "one of " + ", ".join(DEMOS), repr(name))
    began = time.monotonic()
    try:
        getattr(importlib.import_module(f"unspool.demos.{name}"), f"run_{name}")(folder)
    except ImportError as error:
        if isinstance(error, MissingExtra) or error.name is None or error.name.startswith("unspool"):
            raise
        package, hint = error.name.partition(".")[0], "pip install 'unspool[examples]'"
        raise MissingExtra(f"demo {name}", f"the package {package}", "none", hint) from None
    print(f"\nin {time.monotonic() - began:.0f} s")
