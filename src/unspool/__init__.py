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
    from unspool.inspection import InputEncoding, NextStep
    from unspool.jobs import Event
    from unspool.model import OneToMany, load
    from unspool.options import Beam, Network, Sampling, Training, Typical
    from unspool.report.compare import compare
    from unspool.report.report import Report
    from unspool.schema.fields import Angle, Category, Count, First, Flag, Flags, Number, Schema, Text, Vector, When
    from unspool.sequences import Sequences
    from unspool.serving.client import RemoteModel, RemoteSequences, connect
    from unspool.tables.wide import wide
    from unspool.training.callbacks import TrainingRound

__version__ = "0.2.0"

__all__ = [
    "Angle", "Beam", "Category", "Count", "Event", "First", "Flag", "Flags", "InputEncoding", "Network",
    "NextStep", "Number", "OneToMany", "RemoteModel", "RemoteSequences", "Report", "Sampling", "Schema",
    "Section", "Sequences", "Summary", "Text", "Training", "TrainingRound", "Typical", "Vector", "When",
    "Windows", "compare", "connect", "errors", "load", "wide", "windows",
]  # fmt: skip

_NAMES = {
    "unspool.config": ["Summary"],
    "unspool.dataset.windows": ["Windows", "windows"],
    "unspool.evaluation.document": ["Section"],
    "unspool.inspection": ["InputEncoding", "NextStep"],
    "unspool.jobs": ["Event"],
    "unspool.model": ["OneToMany", "load"],
    "unspool.options": ["Beam", "Network", "Sampling", "Training", "Typical"],
    "unspool.report.compare": ["compare"],
    "unspool.report.report": ["Report"],
    "unspool.schema.fields": [
        "Angle", "Category", "Count", "First", "Flag", "Flags", "Number", "Schema", "Text", "Vector", "When",
    ],
    "unspool.sequences": ["Sequences"],
    "unspool.serving.client": ["RemoteModel", "RemoteSequences", "connect"],
    "unspool.tables.wide": ["wide"],
    "unspool.training.callbacks": ["TrainingRound"],
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
