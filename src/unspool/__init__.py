"""Unspool: one input in, a whole sequence out.

The names below are imported when they are first used, so that `import unspool` is quick and imports no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unspool import errors
    from unspool.config import Summary
    from unspool.dataset.windows import Windows, windows
    from unspool.evaluation.document import Section
    from unspool.jobs import Event
    from unspool.model import OneToMany, load
    from unspool.options import Beam, Network, Sampling, Training
    from unspool.report.report import Report
    from unspool.schema.fields import Category, Count, First, Flag, Flags, Number, Schema, Text, Vector, When
    from unspool.sequences import Sequences
    from unspool.tables.wide import wide

__version__ = "0.2.0"

__all__ = [
    "Beam", "Category", "Count", "Event", "First", "Flag", "Flags", "Network", "Number", "OneToMany", "Report",
    "Sampling", "Schema", "Section", "Sequences", "Summary", "Text", "Training", "Vector", "When", "Windows", "errors",
    "load", "wide", "windows",
]  # fmt: skip

_NAMES = {
    "unspool.config": ["Summary"],
    "unspool.dataset.windows": ["Windows", "windows"],
    "unspool.evaluation.document": ["Section"],
    "unspool.jobs": ["Event"],
    "unspool.model": ["OneToMany", "load"],
    "unspool.options": ["Beam", "Network", "Sampling", "Training"],
    "unspool.report.report": ["Report"],
    "unspool.schema.fields": [
        "Category", "Count", "First", "Flag", "Flags", "Number", "Schema", "Text", "Vector", "When",
    ],
    "unspool.sequences": ["Sequences"],
    "unspool.tables.wide": ["wide"],
}  # fmt: skip
_HOME = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "errors":
        value: Any = importlib.import_module("unspool.errors")
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'unspool' has no attribute {name!r}")
    globals()[name] = value  # the next use finds it
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
