"""The page that shows how a model turns an input into a sequence: one file, with the runtime and the weights in it."""

import base64
import datetime as dt
import html
import importlib.resources
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy

from unspool import modelfile
from unspool.config import Config
from unspool.errors import OptionError
from unspool.network.decoder import Net
from unspool.network.serialization import Nets, write_model
from unspool.runtime.atomic_files import atomic, suffix

RUNTIME = (
    "errors", "json", "maths", "threefry", "modelfile", "values", "months", "grid", "distributions", "columns", "sums",
    "codec", "network", "constraints", "generate",
)  # fmt: skip
"""The modules of the runtime, each after those that it imports."""
PAGE = (
    "describe", "elements", "charts", "controls", "form", "influence", "story", "reasons", "phases", "branches",
    "state", "many", "units", "page",
)  # fmt: skip
"""The modules of the page, likewise."""
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?:\{[^}]*\};\n|(?=\w))", re.MULTILINE)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the page may do: run its own script, and ask for nothing."""


class Explanation:
    """A page about a model; a notebook shows it, and `save` writes it.

    Attributes:
        text: the HTML.
        half: its weights are float16.
    """

    def __init__(self, text: str, half: bool) -> None:
        self.text, self.half = text, half

    def __repr__(self) -> str:
        return f"Explanation({len(self.text):,} characters of HTML, weights of float{16 if self.half else 32})"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its styles leave the notebook alone."""
        return f'<iframe srcdoc="{html.escape(self.text)}" style="width: 100%; height: 50rem; border: 0"></iframe>'

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all; a `FileError` if it can't be written."""
        with atomic(path, text=True) as file:
            file.write(self.text)


def explain_model(
    config: Config, net: Net, inputs: Any = None, path: str | os.PathLike[str] | None = None, half: bool = False
) -> Explanation:
    """The page of a model, written to a path if there is one; see `OneToMany.explain`, also for errors.

    With `half`, the weights, which are rounded to float16 already, are written as such.
    """
    if path is not None:
        suffix(path, [".html"])
    page = Explanation(_document(config, net, inputs, half), half)
    if path is not None:
        page.save(path)
    return page


def _document(config: Config, net: Net, inputs: Any, half: bool) -> str:
    """The text of the page, which begins with some inputs: `{name: value}`, or those that the page chooses."""
    if inputs is not None and not isinstance(inputs, Mapping):
        raise OptionError("explain(inputs=...)", "{name: value}", repr(inputs)[:60])
    known = [field.name for field in config.codec.schema.inputs]
    given = {str(name): _plain(value) for name, value in (inputs or {}).items()}
    for name in given:
        if name not in known:
            raise OptionError("explain(inputs=...)", "one of " + ", ".join(known), repr(name))
    data, weights = base64.b64encode(model_bytes(config, net, half)).decode(), "F16" if half else "F32"
    start = json.dumps({"inputs": given}).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>From one input to a sequence</title>\n<style>\n{_resource('page.css')}</style>\n</head>\n<body>\n"
        '<noscript>This page computes with a model, which takes JavaScript.</noscript>\n<main id="page"></main>\n'
        f'<script type="text/plain" id="model" data-weights="{weights}">{data}</script>\n'
        f'<script type="application/json" id="start">{start}</script>\n'
        f'<script type="module">\n{bundle((*RUNTIME, *PAGE))}</script>\n</body>\n</html>\n'
    )


def model_bytes(config: Config, net: Net, half: bool = False) -> bytes:
    """The bytes of the model file without the model of inputs, which the page has no use for.

    With `half`, the arrays are float16, which no model file is; the page is told so.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.unspool")
        write_model(path, msgspec.structs.replace(config, row=None), Nets(net))
        if not half:
            return path.read_bytes()
        settings, arrays = modelfile.read(path)
    rounded = {name: array.astype(np.float16) for name, array in arrays.items()}
    return safetensors.numpy.save(rounded, metadata={modelfile.KEY: json.dumps(settings)})


def bundle(names: tuple[str, ...]) -> str:
    """Modules as one: each comes after those that it imports, and no two bind the same name."""
    return "\n".join(EXPORT.sub("", IMPORT.sub("", _resource(f"{name}.js"))) for name in names)


def _resource(name: str) -> str:
    return importlib.resources.files("unspool.web").joinpath(name).read_text("utf-8")


def _plain(value: Any) -> Any:
    """A value of an input as JSON has it."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise OptionError("explain(inputs=...)", "texts, numbers, dates and lists of numbers", repr(value)[:60])
