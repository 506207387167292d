"""Demonstrations on real data: each fits a model with default options and prints the simplest rivals beside it."""

import importlib
import time
from pathlib import Path
from types import MappingProxyType

from unspool.errors import MissingExtra, OptionError

DEMOS = MappingProxyType(
    {
        "names": "the kind of a name (male, female, surname) to the name, character by character",
        "colours": "an RGB vector to the name that people gave the colour",
        "returns": "the state of the S&P 500 on a day to its next 20 daily log-returns",
    }
)
"""The demonstrations, with what each maps to what."""


def run(name: str, folder: Path = Path()) -> None:
    """Run a demonstration: it prints what it finds, and writes a model and a picture.

    Args:
        name: one of `DEMOS`.
        folder: where the model and the picture go.

    Raises:
        OptionError: there is no such demonstration.
        MissingExtra: its data or matplotlib are not installed.
    """
    if name not in DEMOS:
        raise OptionError("demo", "one of " + ", ".join(DEMOS), repr(name))
    began = time.monotonic()
    try:
        importlib.import_module(f"unspool.demos.{name}").main(folder)
    except ImportError as error:
        if isinstance(error, MissingExtra) or error.name is None or error.name.startswith("unspool"):
            raise
        package = error.name.partition(".")[0]
        raise MissingExtra(
            f"demo {name}", f"the package {package}", "none", "pip install 'unspool[examples]'"
        ) from None
    print(f"\nin {time.monotonic() - began:.0f} s")
