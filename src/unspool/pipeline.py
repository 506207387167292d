"""One fit, from tables to a model: gather, select, train, calibrate, pack."""

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
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
from unspool.dataset.roles import Roles, name_of, roles_of
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_rows import fit_rows
from unspool.errors import OptionError, SchemaError, listing, readable
from unspool.evaluation.evaluate import baseline_nats
from unspool.evaluation.split import Split
from unspool.generation.calibration import calibrate, prepare_calibration
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets
from unspool.options import Network, Training
from unspool.runtime.process import start_jax
from unspool.runtime.processes import ALONE, ProcessGroup, check_same, is_first, lost_processes, process_count
from unspool.runtime.progress import note, phase, report_progress, show, warn
from unspool.runtime.stopping import Stop, interruptible
from unspool.streaming.cache import Cache
from unspool.streaming.reading import columns_read
from unspool.streaming.source import Source
from unspool.streaming.stored import StoredSequences
from unspool.tables.parts import Parts, find_large, find_parts
from unspool.tables.table import frame_kind
from unspool.training.batching import EncodedSet, TrainingData, random_split, validation_split
from unspool.training.callbacks import Callback, with_callback
from unspool.training.checkpoint import Checkpoint
from unspool.training.defaults import TrainingPlan, plan
from unspool.training.initialization import initialize_from_data
from unspool.training.input_model import InputRows, fit_input_model
from unspool.training.scoring import prepare_scoring
from unspool.training.selection import select_fields
from unspool.training.train_step import new_train_state
from unspool.training.trainer import Progress, resume_from, train

MAX_HELD_OUT_VALUES = 2**22
"""Values of all columns that are held out for validation, of data larger than memory, about."""
TRIAL_SECONDS_SHARE, TRAINING_SECONDS_SHARE = 0.2, 0.9
"""Shares of the time budget for the trial, and of what is left then for training; calibration has the rest."""
MIN_USUAL_SHARE = 0.5
"""Share of the usual number of updates below which a fit that was ended has learned little."""
SECONDS_BETWEEN_LOOKS, MAX_SECONDS_AFTER_INTERRUPT = 0.25, 1.0
"""How often to ask whether to wait for the model of the inputs, and for how long after Ctrl-C."""
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
    cache: str | os.PathLike[str] | None = None

    @functools.cached_property
    def roles(self) -> Roles:
        """The roles of the columns."""
        names = ("inputs", "sequence", "combinations", "relations")
        return find_roles(self.data, *(self.params[name] for name in names))

    @property
    def seed(self) -> int:
        """The seed of the model."""
        return int(self.params["seed"])

    @property
    def options(self) -> dict[str, Any]:
        """The options that a fit depends on."""
        return {"network": self.network, "training": self.training, "seed": self.seed}


@dataclass(frozen=True)
class FitData:
    """All examples of a fit, raw and encoded by the codec, and which rows are for training and for validation.

    Of data larger than memory, these are a sample; all sequences, of training and of validation, are on disk.
    """

    codec: Codec
    examples: Examples
    encoded: Encoded
    rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]
    stored: tuple[StoredSequences, StoredSequences] | None = None
    digest: dict[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def split(self) -> Split:
        """Training and validation sequences."""
        rows = self.rows, self.validation_rows
        train, test = (self.examples.take(some) for some in rows)
        known, asked = (self.encoded.take(some) for some in rows)
        return Split(train, test, known, asked, "", ())

    @property
    def sequences(self) -> tuple[EncodedSet, EncodedSet]:
        """All sequences to train on, and all to validate on."""
        return self.stored or (self.split.train_encoded, self.split.test_encoded)


class Trained(NamedTuple):
    """A network with the best weights found, the plan of its training, and `unspool.config.fingerprint`."""

    net: Net
    plan: TrainingPlan
    summary: Summary
    fingerprint: dict[str, str]


def run_fit(request: FitRequest) -> tuple[Config, Nets]:
    """Fit a network to the sequences of a table, and a small one to their inputs; errors as of `OneToMany.fit`."""
    start_jax()
    shown = show(request.params["verbose"] if is_first() else False)
    with shown, interruptible(request.training.seconds) as stop, lost_processes():
        check_same(versions())
        with gathered(request, stop) as data:
            return fit_gathered(request, data, stop)


def fit_gathered(request: FitRequest, data: FitData, stop: Stop) -> tuple[Config, Nets]:
    """Train the network, and beside it the small one of the inputs; calibrate and pack them."""
    inputs = gather_inputs(request, data)
    pool = ThreadPoolExecutor(1)  # the small network is mostly compiled, which takes one core
    try:
        rows = data.rows, data.validation_rows, request.seed
        future = inputs and pool.submit(fit_input_model, inputs, *rows, stop.beside())
        trained = train_network(request, data, stop, pool)
        net = calibrate_network(request, data, trained.net, stop)
        phase("model of the inputs")
        row, row_net = (None, None) if future is None else result_unless_interrupted(future, stop)
    except BaseException:
        stop.press()  # the other thread must not go on for nothing
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if stop.interrupted:
        trained = trained._replace(summary=msgspec.structs.replace(trained.summary, stopped="interrupted"))
    warn_of_little(request, trained)
    return pack_config(request, data, trained, row), Nets(net, row_net)


def result_unless_interrupted(
    future: "Future[tuple[InputModel, Net]]", stop: Stop
) -> tuple[InputModel, Net] | tuple[None, None]:
    """The model of the inputs; after Ctrl-C, none if it is not there in a second, because a compiler is at work."""
    waited = 0.0
    while True:
        try:
            return future.result(SECONDS_BETWEEN_LOOKS)
        except TimeoutError:
            waited += SECONDS_BETWEEN_LOOKS * stop.interrupted
            if waited >= MAX_SECONDS_AFTER_INTERRUPT:
                warn("The fit was interrupted before it had learned to draw inputs: the model needs them to be given.")
                return None, None


@contextlib.contextmanager
def gathered(request: FitRequest, stop: Stop) -> Iterator[FitData]:
    """The data with selected columns; what is on disk without a folder of the user's is deleted at the end."""
    phase("reading")
    find = find_large if request.cache is None else functools.partial(find_parts, files=True)
    parts = None if request.steps is not None else find(request.data)
    if parts is None and request.cache is not None:
        expected = "one table of Parquet: a folder, a glob, a file, a URL or a PyArrow dataset"
        raise OptionError("fit(cache=...)", expected, "data of another kind", "Leave it out.")
    if parts is None:
        data, lines = select_columns(request, gather_data(request), stop)
        note_columns(data.codec, lines)
        yield data
        return
    temporary = tempfile.TemporaryDirectory(prefix="unspool-") if request.cache is None else None
    with temporary or contextlib.nullcontext(request.cache or "") as folder:
        group = ALONE if request.cache is None else ProcessGroup.of_all()
        yield gather_stored(request, parts, Cache(folder, group), stop)


def gather_data(request: FitRequest) -> FitData:
    """Read the tables, infer the schema, fit the columns, encode the examples and split them."""
    if request.start is not None:
        check_start(request, request.start[0])
        codec, examples, encoded = gather_on(request, request.start[0].codec)
    else:
        schema, examples = gather_roles(request.data, request.roles, request.steps, id=request.id, order=request.order)
        codec = fit_codec(schema, examples)
        encoded = codec.encode(examples)
    return FitData(codec, examples, encoded, *validation_split(encoded, request.training.holdout, request.seed))


def gather_stored(request: FitRequest, parts: Parts, cache: Cache, stop: Stop) -> FitData:
    """As `gather_data` and `select_columns`, of a sample; all sequences are on disk, see `unspool.streaming.source`."""
    source = open_source(request, parts, cache)
    share = request.training.holdout
    if not source.is_whole:  # a round scores all that is held out
        share = min(share, MAX_HELD_OUT_VALUES / parts.size.cells)
    while True:
        data = gather_data(replace(request, data=source.table))
        parts_of_all = random_split(len(source), share, request.seed)
        rows, validation_rows = (np.flatnonzero(np.isin(source.sampled, some)) for some in parts_of_all)
        data, lines = select_columns(request, replace(data, rows=rows, validation_rows=validation_rows), stop)
        phase("encoding")
        stored = source.encode(data.codec, data.examples, data.encoded, fixed=request.start is not None)
        if stored is not None:
            break
    codec, lengths = data.codec, stored.lengths
    shortest, longest = int(lengths.min()), int(lengths.max())
    counts = {"examples": len(stored), "total": int(lengths.sum())}
    if request.start is None:
        counts |= {"shortest": shortest, "longest": longest, "limit": longest}
    codec = msgspec.structs.replace(codec, **counts)
    train, held = (stored.take(rows) for rows in validation_split(stored, share, request.seed))
    if data.examples.starts is not None:
        lines.append("of data in parts, windows are held out at random, and validation sees what is learned: cut fewer")
    note_columns(codec, [*source.notes, *lines])
    digest = {} if source.is_whole else {"data": stored.digest}
    return replace(data, codec=codec, stored=(train, held), digest=digest)


def open_source(request: FitRequest, parts: Parts, cache: Cache) -> Source:
    """The data of a fit as blocks of whole sequences, and a sample of them.

    Raises:
        SchemaError: columns that the data lack.
    """
    roles, key, order = request.roles, request.id, request.order
    if request.start is not None:
        schema = request.start[0].codec.schema
        roles, key, order = roles_of(schema, parts.columns), schema.id, schema.order
    names = columns_read(parts, roles, key, order)
    before = None if request.start is None else weights_fingerprint(request.start[1])
    options = {name: repr(value) for name, value in request.options.items()}
    return Source(parts, names, key, order, cache, request.seed, [repr(roles), options, before, versions()])


def gather_inputs(request: FitRequest, data: FitData) -> InputRows | None:
    """The inputs of all examples as training data; `None` without `draw_inputs`, or if they are too wide."""
    if not request.training.draw_inputs:
        return None
    fitted = fit_rows(data.codec.schema, data.examples, request.params["relations"])
    return None if fitted is None else InputRows(fitted[0], fitted[0].encode(fitted[1]), frame_kind(request.data))


def select_columns(request: FitRequest, data: FitData, stop: Stop) -> tuple[FitData, list[str]]:
    """Choose transforms and means that the user left open, and fit the columns again if a choice changes them.

    The lines say what was found in the data.
    """
    codec, examples, encoded, rows = data.codec, data.examples, data.encoded, data.rows
    if request.start is not None:
        return data, unseen_categories(codec, examples, encoded)
    open_ = open_transforms(codec.schema, request.roles)
    phase("trial")
    with stop.part(TRIAL_SECONDS_SHARE) as part:
        schema, lines = select_fields(codec, examples, encoded, rows, open_, **request.options, stop=part)
    if lines:
        codec = fit_codec(schema, examples)
        encoded = codec.encode(examples)
    return replace(data, codec=codec, encoded=encoded), [*examples.notes, *lines]


def note_columns(codec: Codec, lines: list[str]) -> None:
    """Say what was found in the data."""
    note(readable("\n".join([codec.describe(), *lines])))


def train_network(request: FitRequest, data: FitData, stop: Stop, pool: Executor) -> Trained:
    """Train from the start, or from a checkpoint; a pool compiles beside it what is needed later."""
    (training, validation), sample = data.sequences, data.split.train_encoded
    sizes = {"examples": len(training), "steps": int(training.offsets[-1]), "distinct": training.distinct}
    numbers = plan(request.network, request.training, data.codec, **sizes)
    if request.start is not None:
        numbers = plan_on(numbers, request.start[0])
    shape = architecture_of(data.codec, numbers.network, numbers.size, numbers.embedding)
    task = TrainingData.of(training, validation, stops=shape.stops, seed=request.seed, segment=numbers.segment)
    settings: dict[str, Any] = {"codec": data.codec, **request.options, "versions": versions()}
    hooks: dict[str, Any] = {}
    if request.start is None:
        net = Net(np.random.default_rng([request.seed, 2]), shape)
        net = initialize_from_data(net, sample, changes_too=numbers.update_config.feeding == "teacher")
    else:
        net = request.start[1]
        settings["start"] = weights_fingerprint(net)
        hooks["resume"] = resume_from(net, numbers, validation)
    parts = fingerprint(data.encoded, **settings) | data.digest
    if request.checkpoint is not None:
        folder = Checkpoint(request.checkpoint, parts)
        saved = folder.load(new_train_state(net, numbers.update_config))
        hooks = {"resume": saved or hooks.get("resume")} | ({"save": folder.save} if is_first() else {})
    rounds = len(hooks["resume"][0].rounds) if hooks.get("resume") else 0
    check_same({name: found[:12] for name, found in parts.items()} | {"rounds in the checkpoint": str(rounds)})
    phase("compiling")
    for bucket in task.validation:
        free = numbers.update_config.feeding == "free"
        pool.submit(prepare_scoring, net, bucket, free=free, max_devices=numbers.devices)
    if len(data.validation_rows):
        pool.submit(prepare_calibration, net, data.codec, sample, data.split.train.first, request.seed)
    with stop.part(TRAINING_SECONDS_SHARE) as part:

        def show_rounds(progress: Progress) -> None:
            if not stop.keeps:
                stop.keeps = True
                phase("training")
            show_training(progress, numbers.updates, part)

        watch = with_callback(show_rounds, request.callback if is_first() else None, rounds)
        net, progress = train(task, numbers, net, processes=process_count(), stop=part, watch=watch, **hooks)
    took = f"{progress.update} updates, {progress.seconds:.0f} s"
    note(f"training: {describe_nats(progress)}, {took}: {progress.stopped}")
    validated = any(one.validation is not None for one in progress.rounds)  # not so after an early Ctrl-C
    summary = Summary(
        nats=progress.best,
        examples=len(training),
        validation=len(validation) if validated else 0,
        steps=task.train_steps,
        validation_steps=task.validation_steps if validated else 0,
        updates=progress.update,
        best_update=progress.best_update,
        weights=sum(leaf.size for leaf in jax.tree.leaves(net)),
        seconds=progress.seconds,
        stopped=progress.stopped,
        rounds=progress.rounds,
        baseline=baseline_nats(data.split, data.codec),
    )
    return Trained(net, numbers, summary, parts)


def calibrate_network(request: FitRequest, data: FitData, net: Net, stop: Stop) -> Net:
    """Match generated lengths and shares to those of the training sequences.

    Validation sequences are not used. If nothing is held out, the data are to be memorised, and nothing is calibrated.
    """
    if stop.interrupted or not len(data.validation_rows):
        return net
    phase("calibration")
    with stop.part(1.0) as part:
        return calibrate(net, data.codec, data.split.train_encoded, data.split.train.first, request.seed, part)


def show_training(progress: Progress, updates: int, stop: Stop) -> None:
    """Show how far training is, of the most updates or of the time budget."""
    total = progress.decay_from + progress.decay_updates if progress.decay_updates else updates
    share = progress.update / total
    if stop.seconds:
        share = max(share, stop.elapsed / stop.seconds)
    report_progress(share, describe_nats(progress), may_end_early=not progress.decay_updates)


def describe_nats(progress: Progress) -> str:
    """The last validation's nats per step, in words; they are those of the network before calibration."""
    if not progress.rounds:
        return f"update {progress.update}"
    last = progress.rounds[-1]
    validation = "" if last.validation is None else f", {last.validation:.3f} held out"
    return f"nats a step: {last.train:.3f} train{validation}"


def warn_of_little(request: FitRequest, trained: Trained) -> None:
    """Warn if training was ended long before it could learn what the data hold, and say how long it would take."""
    summary, usual, seconds = trained.summary, trained.plan.usual_updates, request.training.seconds
    if summary.stopped not in ("time", "interrupted") or summary.updates >= usual * MIN_USUAL_SHARE:
        return
    hint = "let it train longer"
    if summary.stopped == "time" and seconds is not None:
        hint = f"give it {enough_seconds(seconds, usual / max(1, summary.updates)):,.0f} seconds"
    count = f"{summary.updates:,} update{'s' * (summary.updates != 1)}"
    warn(f"The model has learned little: {count} of about {float(f'{usual:.1g}'):,.0f}; {hint}.")


def enough_seconds(seconds: float, times: float) -> float:
    """A round number of seconds, about so many times a budget.

    Examples:
        >>> enough_seconds(30.0, 1.9), enough_seconds(30.0, 43.5), enough_seconds(1.0, 2.0)
        (60.0, 1320.0, 10.0)
    """
    wanted = seconds * times
    step = 10.0 if wanted <= 120 else 60.0
    return math.ceil(wanted / step) * step


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
        if not field.columns or column.num_symbols is None or not (unseen := values == column.num_symbols).any():
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
