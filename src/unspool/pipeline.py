"""A whole fit on encoded examples: split, plan, build, train, and sum up what happened."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from unspool import modelfile
from unspool.config import Config, InputModel, Summary
from unspool.encoding.codec import Codec, Encoded
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets
from unspool.options import Network, Training
from unspool.training.batching import validation_split
from unspool.training.checkpoint import Checkpoint, fingerprint
from unspool.training.defaults import TrainingPlan, plan
from unspool.training.initialization import initialize_from_data
from unspool.training.input_model import InputRows, fit_input_model
from unspool.training.means import describe_means, doubtful_means, unsupported_means, with_constant_means
from unspool.training.odds import recalibrate
from unspool.training.progress import show_progress
from unspool.training.train_step import new_train_state
from unspool.training.trainer import Progress, TrainingData, train, validation_nats


@dataclass(frozen=True)
class FitRequest:
    """What the user asked of a fit.

    Attributes:
        network: options of the network.
        training: options of the training.
        seed: of everything random.
        verbose: see `OneToMany`.
        checkpoint: a folder, or `None`.
        versions: what the numbers may depend on besides data and options.
    """

    network: Network
    training: Training
    seed: int
    verbose: bool | None
    checkpoint: str | os.PathLike[str] | None
    versions: dict[str, str]


def run_fit(
    codec: Codec, encoded: Encoded, asked: FitRequest, inputs: InputRows | None, match: Callable[[Codec, Net], Net]
) -> tuple[Config, Nets]:
    """Fit a network to encoded examples, and a small one to their inputs.

    Args:
        codec: the fitted columns.
        encoded: the examples.
        asked: all the rest.
        inputs: what to learn to draw inputs from, or `None`.
        match: gives what a trained network generates the lengths and shares of training.

    Raises:
        TrainingError: too little data to hold any out, or weights that diverge.
        CheckpointMismatch: the folder holds the checkpoint of another fit.
    """
    rows, validation_rows = validation_split(encoded, asked.training.holdout, asked.seed)
    learned, validation = encoded.take(rows), encoded.take(validation_rows)
    numbers = plan(
        asked.network,
        asked.training,
        codec,
        examples=len(learned),
        steps=int(learned.offsets[-1]),
        distinct=learned.distinct,
    )
    stops = architecture_of(codec, numbers.network, numbers.size, numbers.embedding).stops
    task = TrainingData.of(learned, validation, stops=stops, seed=asked.seed, segment=numbers.segment)
    settings = {"codec": codec, "network": asked.network, "training": asked.training, "seed": asked.seed}
    parts = fingerprint(encoded, **settings, versions=asked.versions)
    folder = None if asked.checkpoint is None else Checkpoint(asked.checkpoint, parts)
    doubtful = doubtful_means(codec, learned, validation)
    if doubtful and numbers.seconds is not None:  # it may take two trainings
        numbers = replace(numbers, seconds=numbers.seconds / 2)
    # Aside, since compiling takes most of the small network's time, and one core only.
    with ThreadPoolExecutor(1) as aside:
        drawing = None if inputs is None else aside.submit(fit_input_model, inputs, rows, validation_rows, asked.seed)
        net, progress = _trained(codec, learned, task, numbers, asked, folder)
        interrupted = progress.stopped == "interrupted"  # who asks for an end wants no other beginning
        if constant := {} if interrupted else unsupported_means(codec, net, validation, doubtful):
            codec = with_constant_means(codec, constant)
            if asked.verbose is not False:
                print("\n".join(describe_means(codec, constant)), file=sys.stderr)
            before = progress.seconds
            net, progress = _trained(codec, learned, task, numbers, asked, None)
            progress.seconds += before
    nats = progress.best
    if task.validation:  # who holds nothing out wants what there is by heart
        net = recalibrate(net, [*task.train, *task.validation])
        net = match(codec, net)
        nats = validation_nats(task, numbers, net)
    summary = _summary(task, progress, nats, net, len(learned), len(validation))
    row, row_net = (None, None) if drawing is None else drawing.result()
    return _config(codec, asked, numbers, parts["data"], summary, row), Nets(net, row_net)


def _trained(
    codec: Codec,
    learned: Encoded,
    task: TrainingData,
    numbers: TrainingPlan,
    asked: FitRequest,
    folder: Checkpoint | None,
) -> tuple[Net, Progress]:
    """A network trained from its start, or from where a checkpoint has left it."""
    shape = architecture_of(codec, numbers.network, numbers.size, numbers.embedding)
    net = initialize_from_data(Net(np.random.default_rng([asked.seed, 2]), shape), learned)
    saver: dict[str, Any] = {}
    if folder is not None:
        saver = {"resume": folder.load(new_train_state(net, numbers.recipe)), "save": folder.save}
    with show_progress(numbers.updates, asked.verbose) as watch:
        return train(task, numbers, net, watch=watch, **saver)


def _config(
    codec: Codec, asked: FitRequest, numbers: TrainingPlan, data: str, summary: Summary, row: InputModel | None
) -> Config:
    return Config(
        format=modelfile.FORMAT_VERSION,
        versions=asked.versions,
        codec=codec,
        network=numbers.network,
        size=numbers.size,
        embedding=numbers.embedding,
        training=asked.training,
        seed=asked.seed,
        data=data,
        summary=summary,
        row=row,
    )


def _summary(task: TrainingData, progress: Progress, nats: float, net: Net, examples: int, validation: int) -> Summary:
    return Summary(
        nats=nats,
        examples=examples,
        validation=validation,
        steps=task.train_steps,
        validation_steps=task.validation_steps,
        updates=progress.update,
        best_update=progress.best_update,
        weights=sum(leaf.size for leaf in jax.tree.leaves(net)),
        seconds=progress.seconds,
        stopped=progress.stopped,
        rounds=progress.rounds,
    )
