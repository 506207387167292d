"""One fit, from tables to a model: gather, select, train, calibrate, pack."""

import functools
import hashlib
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.config import Arguments, Config, InputModel, Summary, fingerprint, versions
from unspool.dataset.examples import Examples
from unspool.dataset.gather import find_roles, gather_fitted, gather_roles, open_transforms
from unspool.dataset.roles import Roles, name_of
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_rows import fit_rows
from unspool.errors import OptionError, SchemaError, listing
from unspool.evaluation.evaluate import baseline_nats
from unspool.evaluation.split import Split
from unspool.generation.calibration import calibrate
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets
from unspool.options import Network, Training
from unspool.runtime.compilation_cache import keep_compiled
from unspool.runtime.devices import claim_cores
from unspool.tables.table import frame_kind
from unspool.training.batching import TrainingData, validation_split
from unspool.training.callbacks import Callback, with_callback
from unspool.training.checkpoint import Checkpoint
from unspool.training.defaults import TrainingPlan, plan
from unspool.training.initialization import initialize_from_data
from unspool.training.input_model import InputRows, fit_input_model
from unspool.training.progress import show_progress
from unspool.training.selection import select_fields
from unspool.training.train_step import new_train_state
from unspool.training.trainer import resume_from, train

HINT = "Leave it out, or fit without start."


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
    start: tuple[Config, Net] | None = None
    callback: Callback | None = None

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

    def split(self) -> Split:
        """Training and validation sequences, for a baseline."""
        rows = self.rows, self.validation_rows
        train, test = (self.examples.take(some) for some in rows)
        known, asked = (self.encoded.take(some) for some in rows)
        return Split(train, test, known, asked, "", ())


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
    if request.start is not None:
        check_start(request, request.start[0])
        codec, examples, encoded = gather_on(request, request.start[0].codec)
        return FitData(codec, examples, encoded, *validation_split(encoded, request.training.holdout, request.seed))
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
    if request.start is not None:
        _print_columns(request, codec, unseen_categories(codec, examples, encoded))
        return data
    open_ = open_transforms(codec.schema, request.roles)
    schema, lines = select_fields(codec, examples, encoded, rows, open_, **request.options)
    if lines:
        codec = fit_codec(schema, examples)
        encoded = codec.encode(examples)
    _print_columns(request, codec, lines)
    return data._replace(codec=codec, encoded=encoded)


def _print_columns(request: FitRequest, codec: Codec, lines: list[str]) -> None:
    if request.params["verbose"] is not False:
        print("\n".join([codec.describe(), *lines]), file=sys.stderr)


def train_network(request: FitRequest, data: FitData) -> Trained:
    """Train from the start, or from a checkpoint."""
    training, validation = data.encoded.take(data.rows), data.encoded.take(data.validation_rows)
    sizes = {"examples": len(training), "steps": int(training.offsets[-1]), "distinct": training.distinct}
    numbers = plan(request.network, request.training, data.codec, **sizes)
    if request.start is not None:
        numbers = plan_on(numbers, request.start[0])
    shape = architecture_of(data.codec, numbers.network, numbers.size, numbers.embedding)
    task = TrainingData.of(training, validation, stops=shape.stops, seed=request.seed, segment=numbers.segment)
    settings: dict[str, Any] = {"codec": data.codec, **request.options, "versions": versions()}
    hooks: dict[str, Any] = {}
    if request.start is None:
        net = initialize_from_data(Net(np.random.default_rng([request.seed, 2]), shape), training)
    else:
        net = request.start[1]
        settings["start"] = weights_fingerprint(net)
        hooks["resume"] = resume_from(net, numbers, validation)
    parts = fingerprint(data.encoded, **settings)
    if request.checkpoint is not None:
        folder = Checkpoint(request.checkpoint, parts)
        saved = folder.load(new_train_state(net, numbers.update_config))
        hooks = {"resume": saved or hooks.get("resume"), "save": folder.save}
    rounds = len(hooks["resume"][0].rounds) if hooks.get("resume") else 0
    with show_progress(numbers.updates, request.params["verbose"]) as watch:
        net, progress = train(task, numbers, net, watch=with_callback(watch, request.callback, rounds), **hooks)
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
        baseline=baseline_nats(data.split(), data.codec),
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


def check_start(request: FitRequest, config: Config) -> None:
    """Refuse arguments that contradict the start, whose schema and network a fit takes over.

    Raises:
        SchemaError: other columns.
        OptionError: another network.
    """
    schema, params = config.codec.schema, request.params
    for name, given, own in (("id", request.id, schema.id), ("order", request.order, schema.order)):
        if given is not None and given != own:
            raise SchemaError(f"fit({name}={given!r}, start=...)", f"that of the start, {own!r}", repr(given), HINT)
    if params["inputs"] is not None and request.roles.first is None:
        names, own_names = [name_of(item) for item in request.roles.inputs], [field.name for field in schema.inputs]
        if names != own_names:
            raise SchemaError("OneToMany(inputs=...)", f"those of the start, {own_names}", str(names), HINT)
    network, arguments = params["network"], config.arguments
    if network not in (None, Network(), config.network, arguments and arguments.network):
        raise OptionError("OneToMany(network=...)", f"that of the start, {config.network!r}", repr(network), HINT)


def gather_on(request: FitRequest, codec: Codec) -> tuple[Codec, Examples, Encoded]:
    """New data in the columns of a start; the codec counts them, and is otherwise that of the start.

    Raises:
        SchemaError: columns or values that contradict the schema of the start, all of them listed; or lengths that vary
            where those of the start did not.
    """
    examples = gather_fitted(codec, request.data, request.steps)
    encoded = codec.encode(examples)
    lengths = set(np.unique(encoded.lengths).tolist())
    if codec.shortest == codec.longest and lengths - {codec.longest}:
        expected = f"sequences of {codec.longest} steps, because all of the start have as many"
        raise SchemaError(examples.location, expected, f"lengths {listing(sorted(lengths))}", "Fit without start.")
    counted = msgspec.structs.replace(codec, examples=len(examples), total=int(encoded.offsets[-1]))
    return counted, examples, encoded


def unseen_categories(codec: Codec, examples: Examples, encoded: Encoded) -> list[str]:
    """A line for every field of a step that holds categories which the start never saw.

    They count as unseen, as in `log_prob`: the model gives them a probability, and never generates them.
    """
    lines = []
    for (field, column), values in zip(codec.step_columns(), encoded.steps, strict=True):
        if column.num_symbols is None or not (unseen := values == column.num_symbols).any():
            continue
        raw = examples.steps[field.name]
        names = ""
        if len(raw) == len(values):
            found = raw[unseen].tolist()
            texts = map(chr, found) if getattr(column, "text", False) else found
            names = ": " + listing(sorted({repr(value) for value in texts}))
        lines.append(f"{field.name}: {unseen.sum():,} values that the start never saw and can't generate{names}")
    return lines


def plan_on(plan: TrainingPlan, config: Config) -> TrainingPlan:
    """A plan with the network of the start."""
    return replace(plan, network=config.network, size=config.size, embedding=config.embedding)


def weights_fingerprint(net: Net) -> str:
    """A hash of all weights."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(net):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
