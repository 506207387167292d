"""One fit, from tables to a model: gather, select, train, calibrate, pack."""

import functools
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.config import Arguments, Config, InputModel, Summary, fingerprint, versions
from unspool.dataset.examples import Examples
from unspool.dataset.gather import find_roles, gather_roles, open_transforms
from unspool.dataset.roles import Roles
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_rows import fit_rows
from unspool.generation.calibration import calibrate
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets
from unspool.options import Network, Training
from unspool.runtime.compilation_cache import keep_compiled
from unspool.runtime.devices import claim_cores
from unspool.tables.table import frame_kind
from unspool.training.batching import TrainingData, validation_split
from unspool.training.checkpoint import Checkpoint
from unspool.training.defaults import TrainingPlan, plan
from unspool.training.initialization import initialize_from_data
from unspool.training.input_model import InputRows, fit_input_model
from unspool.training.progress import show_progress
from unspool.training.selection import select_fields
from unspool.training.train_step import new_train_state
from unspool.training.trainer import train


@dataclass(frozen=True)
class FitRequest:
    """The arguments of `OneToMany.fit`, those of the constructor (`params`), and the options with their defaults."""

    data: Any
    steps: Any
    id: str | None
    order: str | None
    checkpoint: str | os.PathLike[str] | None
    params: Mapping[str, Any]
    network: Network
    training: Training

    @functools.cached_property
    def roles(self) -> Roles:
        """The roles of the columns."""
        return find_roles(self.data, *(self.params[name] for name in ("inputs", "sequence", "combinations")))

    @property
    def seed(self) -> int:
        """The seed of the model."""
        return int(self.params["seed"])

    @property
    def options(self) -> dict[str, Any]:
        """The options that a fit depends on."""
        return {"network": self.network, "training": self.training, "seed": self.seed}


class FitData(NamedTuple):
    """All examples of a fit, raw and encoded by the codec, and which rows are for training and for validation."""

    codec: Codec
    examples: Examples
    encoded: Encoded
    rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]


class Trained(NamedTuple):
    """A network with the best weights found, the plan of its training, and `unspool.config.fingerprint`."""

    net: Net
    plan: TrainingPlan
    summary: Summary
    fingerprint: dict[str, str]


def run_fit(request: FitRequest) -> tuple[Config, Nets]:
    """Fit a network to the sequences of a table, and a small one to their inputs; errors as of `OneToMany.fit`."""
    claim_cores()
    keep_compiled()
    data = select_columns(request, gather_data(request))
    inputs = gather_inputs(request, data)
    with ThreadPoolExecutor(1) as pool:  # the small network is mostly compiled, which takes one core
        future = inputs and pool.submit(fit_input_model, inputs, data.rows, data.validation_rows, request.seed)
        trained = train_network(request, data)
        net = calibrate_network(request, data, trained.net)
    row, row_net = (None, None) if future is None else future.result()
    return pack_config(request, data, trained, row), Nets(net, row_net)


def gather_data(request: FitRequest) -> FitData:
    """Read the tables, infer the schema, fit the columns, encode the examples and split them."""
    schema, examples = gather_roles(request.data, request.roles, request.steps, id=request.id, order=request.order)
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    return FitData(codec, examples, encoded, *validation_split(encoded, request.training.holdout, request.seed))


def gather_inputs(request: FitRequest, data: FitData) -> InputRows | None:
    """The inputs of all examples as training data; `None` without `draw_inputs`, or if they are too wide."""
    fitted = fit_rows(data.codec.schema, data.examples) if request.training.draw_inputs else None
    return None if fitted is None else InputRows(fitted[0], fitted[0].encode(fitted[1]), frame_kind(request.data))


def select_columns(request: FitRequest, data: FitData) -> FitData:
    """Choose transforms and means that the user left open, and fit the columns again if a choice changes them."""
    codec, examples, encoded, rows, _ = data
    open_ = open_transforms(codec.schema, request.roles)
    schema, lines = select_fields(codec, examples, encoded, rows, open_, **request.options)
    if lines:
        codec = fit_codec(schema, examples)
        encoded = codec.encode(examples)
    if request.params["verbose"] is not False:
        print("\n".join([codec.describe(), *examples.notes, *lines]), file=sys.stderr)
    return data._replace(codec=codec, encoded=encoded)


def train_network(request: FitRequest, data: FitData) -> Trained:
    """Train from the start, or from a checkpoint."""
    training, validation = data.encoded.take(data.rows), data.encoded.take(data.validation_rows)
    sizes = {"examples": len(training), "steps": int(training.offsets[-1]), "distinct": training.distinct}
    numbers = plan(request.network, request.training, data.codec, **sizes)
    shape = architecture_of(data.codec, numbers.network, numbers.size, numbers.embedding)
    task = TrainingData.of(training, validation, stops=shape.stops, seed=request.seed, segment=numbers.segment)
    net = initialize_from_data(Net(np.random.default_rng([request.seed, 2]), shape), training)
    parts = fingerprint(data.encoded, codec=data.codec, **request.options, versions=versions())
    hooks: dict[str, Any] = {}
    if request.checkpoint is not None:
        folder = Checkpoint(request.checkpoint, parts)
        hooks = {"resume": folder.load(new_train_state(net, numbers.update_config)), "save": folder.save}
    with show_progress(numbers.updates, request.params["verbose"]) as watch:
        net, progress = train(task, numbers, net, watch=watch, **hooks)
    summary = Summary(
        nats=progress.best,
        examples=len(training),
        validation=len(validation),
        steps=task.train_steps,
        validation_steps=task.validation_steps,
        updates=progress.update,
        best_update=progress.best_update,
        weights=sum(leaf.size for leaf in jax.tree.leaves(net)),
        seconds=progress.seconds,
        stopped=progress.stopped,
        rounds=progress.rounds,
    )
    return Trained(net, numbers, summary, parts)


def calibrate_network(request: FitRequest, data: FitData, net: Net) -> Net:
    """Match generated lengths and shares to those of the training sequences.

    Validation sequences are not used. If nothing is held out, the data are to be memorised, and nothing is calibrated.
    """
    if not len(data.validation_rows):
        return net
    bases = {name: values[data.rows] for name, values in data.examples.first.items()}
    return calibrate(net, data.codec, data.encoded.take(data.rows), bases, request.seed)


def pack_config(request: FitRequest, data: FitData, trained: Trained, row: InputModel | None) -> Config:
    """The configuration of the model file."""
    return Config(
        format=modelfile.FORMAT_VERSION,
        versions=versions(),
        codec=data.codec,
        network=trained.plan.network,
        size=trained.plan.size,
        embedding=trained.plan.embedding,
        training=request.training,
        seed=request.seed,
        data=trained.fingerprint["data"],
        summary=trained.summary,
        row=row,
        arguments=Arguments.of(request.params),
    )
