"""The models of a server: loaded, warmed up, and replaced without dropping what runs."""

import gc
import hashlib
import threading
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np

from unspool.errors import OptionError, UnspoolError
from unspool.generation.slots import SLOT_WIDTHS, SlotRequest, Slots
from unspool.jobs import GenerationOptions, generation_job, sampling_job
from unspool.serving.engine import Engine
from unspool.serving.messages import ModelCard
from unspool.serving.metrics import Metrics

DIGEST = 16
"""Letters of a hash of a model."""
JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}
"""JSON Schema's types of the types of columns; of all others, it is a string."""


class HostedModel:
    """A fitted model, its hash and its engine.

    Attributes:
        scoring: at most one call of what the engine does not do runs at a time.
    """

    def __init__(self, name: str, model: Any, metrics: Metrics, widths: tuple[int, ...] = SLOT_WIDTHS) -> None:
        self.name, self.model = name, model
        self.fitted = model._generator()  # noqa: SLF001  # a part of this package
        self.hash = digest_of(model)
        self.scoring = threading.Lock()
        self.engine = Engine(Slots(self.fitted.net, widths), partial(metrics.count_chunk, name))

    def warm_up(self) -> None:
        """Compile the programs of plain requests; of a model for which no input can be made up, none."""
        fitted, options = self.fitted, GenerationOptions(seed=0)
        names = [field.name for field in fitted.codec.schema.inputs]
        try:
            job = generation_job(fitted, dict.fromkeys(names) or None, 1, options)
        except UnspoolError:  # no input may be missing
            if fitted.input_net is None:
                return
            job, _ = sampling_job(fitted, 1, options).with_inputs(slice(0, 1))
        self.engine.slots.prepare(SlotRequest(fitted.net, job.request))

    def warm_up_inputs(self) -> None:
        """Compile what draws the inputs of requests that give none."""
        if self.fitted.input_net is not None:
            sampling_job(self.fitted, 1, GenerationOptions(seed=0)).with_inputs(slice(0, 1))

    @cached_property
    def page(self) -> str:
        """The page that explains it."""
        return str(self.model.explain().text)

    @cached_property
    def card(self) -> ModelCard:
        """What there is to know about it."""
        codec = self.fitted.codec
        inputs = {
            name: json_type(kind)
            for field, column in codec.input_columns()
            for name, kind in zip(field.columns, column.types, strict=False)
        }
        step = {name: json_type(kind) for name, kind in codec.types.items()}
        to_json = lambda part: msgspec.to_builtins(part, enc_hook=str, str_keys=True)  # noqa: E731
        return ModelCard(
            model=self.name,
            hash=self.hash,
            inputs={"type": "object", "properties": inputs, "additionalProperties": False},
            step={"type": "object", "properties": step},
            schema=to_json(codec.schema),
            summary=to_json(self.model.summary_),
        )


def json_type(kind: str) -> dict[str, list[str]]:
    """JSON Schema of a column whose values have this type, or are missing.

    Examples:
        >>> json_type("int"), json_type("time")
        ({'type': ['integer', 'null']}, {'type': ['string', 'null']})
    """
    return {"type": [JSON_TYPES.get(kind, "string"), "null"]}


def digest_of(model: Any) -> str:
    """A hash of all that generation depends on: the fitted columns and the weights."""
    digest = hashlib.sha256(msgspec.json.encode(model.config_.codec))
    for net in (model.net_, model.row_net_):
        for leaf in jax.tree.leaves(net):
            digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:DIGEST]


class ModelHost:
    """Models by name, from files, which a function loads.

    Attributes:
        warm: whether all of them have their programs.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        load: Callable[[Path], Any],
        metrics: Metrics,
        widths: tuple[int, ...] = SLOT_WIDTHS,
    ) -> None:
        self.files, self.load, self.metrics, self.widths = dict(files), load, metrics, widths
        self.models: dict[str, HostedModel] = {}
        self.stamps: dict[str, Any] = {}
        self.warm = False
        self.changing = threading.Lock()

    def start(self) -> None:
        """Load all models and warm them up; an error as of `load`."""
        for name in self.files:
            self.reload(name)
        for hosted in [*self.models.values()]:
            hosted.warm_up()
        gc.collect()
        gc.freeze()  # what is here stays: a look at all of it would stop every request for a tenth of a second
        self.warm = True
        threading.Thread(target=self._warm_up_inputs, name="unspool-compiler").start()  # fewer requests need it

    def _warm_up_inputs(self) -> None:
        for hosted in [*self.models.values()]:
            hosted.warm_up_inputs()

    def reload(self, name: str) -> None:
        """Load a model again; requests under way end on the old one. If it can't be loaded, the old one stays."""
        with self.changing:
            path = self.files[name]
            self.stamps[name] = stamp_of(path)  # a file that can't be loaded is not tried again before it changes
            model = self.load(path).set_params(verbose=False)
            new = HostedModel(name, model, self.metrics, self.widths)
            if self.warm:
                new.warm_up()
                new.warm_up_inputs()  # the old model answers meanwhile
            old, self.models[name] = self.models.get(name), new
            if old is not None:
                old.engine.close()

    def changed(self) -> list[str]:
        """Names of the models whose files have changed."""
        return [name for name, path in self.files.items() if stamp_of(path) not in (None, self.stamps.get(name))]

    def close(self) -> None:
        """End all threads when their work is done."""
        for hosted in self.models.values():
            hosted.engine.close()
        gc.unfreeze()


def named_files(paths: list[str]) -> dict[str, Path]:
    """Model files by the names of their models.

    Raises:
        OptionError: two of one name.
    """
    files: dict[str, Path] = {}
    for path in paths:
        name = Path(path).name.removesuffix(".unspool")
        if name in files:
            raise OptionError("models", "files of different names", f"two named {name!r}", "Rename one of them.")
        files[name] = Path(path)
    return files


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; `None` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
