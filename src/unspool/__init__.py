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

__version__ = "0.2.0"

__all__ = [
    "Beam",
    "Category",
    "Count",
    "Event",
    "First",
    "Flag",
    "Flags",
    "Network",
    "Number",
    "OneToMany",
    "Report",
    "Sampling",
    "Schema",
    "Section",
    "Sequences",
    "Summary",
    "Text",
    "Training",
    "Vector",
    "When",
    "Windows",
    "errors",
    "load",
    "windows",
]

_HOME = {
    "Beam": "unspool.options",
    "Category": "unspool.schema.fields",
    "Count": "unspool.schema.fields",
    "Event": "unspool.jobs",
    "First": "unspool.schema.fields",
    "Flag": "unspool.schema.fields",
    "Flags": "unspool.schema.fields",
    "Network": "unspool.options",
    "Number": "unspool.schema.fields",
    "OneToMany": "unspool.model",
    "Report": "unspool.report.report",
    "Sampling": "unspool.options",
    "Schema": "unspool.schema.fields",
    "Section": "unspool.evaluation.document",
    "Sequences": "unspool.sequences",
    "Summary": "unspool.config",
    "Text": "unspool.schema.fields",
    "Training": "unspool.options",
    "Vector": "unspool.schema.fields",
    "When": "unspool.schema.fields",
    "Windows": "unspool.dataset.windows",
    "load": "unspool.model",
    "windows": "unspool.dataset.windows",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        value: Any = importlib.import_module("unspool.errors")
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'unspool' has no attribute {name!r}")
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
