"""A whole evaluation: what is judged, on what, and the sections of the report in their order."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unspool.config import Config
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, Encoded
from unspool.errors import DataError, TrainingError
from unspool.evaluation import feeding
from unspool.evaluation.baselines.bootstrap import block_bootstrap
from unspool.evaluation.baselines.garch import garch_windows
from unspool.evaluation.baselines.likelihoods import Task, baselines
from unspool.evaluation.baselines.simulated import autoregressive, independent
from unspool.evaluation.document import Section
from unspool.evaluation.samples.evidence import evidence, targets
from unspool.evaluation.samples.generate import made
from unspool.evaluation.samples.nats import scored
from unspool.evaluation.samples.sample_set import Material, Side, material
from unspool.evaluation.samples.sample_set import sides as sides_alike
from unspool.evaluation.samples.scoring import surprise
from unspool.evaluation.samples.statistics import evenly
from unspool.evaluation.sections.generated import guarded, sections
from unspool.evaluation.sections.input_use import conditioning
from unspool.evaluation.sections.likelihood import likelihood
from unspool.network.decoder import Net
from unspool.schema.fields import Schema, Text
from unspool.training.batching import validation_split
from unspool.training.checkpoint import fingerprint

JUDGED = 1 / 3
"""Share of the data that is judged where no training data was given; baselines learn from the rest."""
LEAST = 2
"""Sequences that must be judged, and learned from, at the least."""
MADE = 2_000_000
"""Generated steps, at the most, of sequences that are compared with real ones."""
SCORED = 4
"""Generated sequences of each held-out input whose nats are compared with those of real steps."""
FLATTERED = "The model was fitted to the very data that it is judged on: its figures flatter it."
HELD = (
    "This is the data that the model was fitted to. Judged are the sequences that training held out; by them it "
    "decided when to stop, which flatters the model a little."
)


@runtime_checkable
class Judged(Protocol):
    """What an evaluation needs of a model."""

    config_: Config
    net_: Net

    @property
    def codec_(self) -> Codec:
        """The fitted columns."""
        ...


class Sides(NamedTuple):
    """What baselines learn from, what is judged, and what one must know of it.

    Attributes:
        train: to fit baselines to.
        test: to judge the model and the baselines on.
        origin: where `train` is from, for the report's facts.
        notes: what a reader must know before reading on.
    """

    train: Examples
    test: Examples
    origin: str
    notes: tuple[str, ...]


def evaluated(model: Judged, sides: Sides, seed: int, samples: int, feedings: bool = False) -> tuple[Section, ...]:
    """All sections, in the order in which they are read; those that could not be made say why.

    Args:
        model: a fitted model.
        sides: see `sides_of`.
        seed: of all that is drawn.
        samples: generated sequences for each held-out input.
        feedings: whether to fit the network anew under each feeding, to see which helps.
    """
    codec, unit = model.codec_, unit_of(model.codec_.schema)
    train, test = codec.encode(sides.train), codec.encode(sides.test)
    nats = scored(model.net_, test)
    known, asked = evidence(codec, sides.train, train), evidence(codec, sides.test, test)
    task = Task(known, asked, targets(codec), model.net_.shape.stops, seed)
    names = tuple(field.name for field in codec.schema.inputs)
    score: Callable[[Encoded], NDArray[np.float64]] = lambda encoded: scored(model.net_, encoded)  # noqa: E731
    refitted = lambda: feeding.feeding(  # noqa: E731
        model.config_, codec, sides.train, sides.test, asked.clusters, seed, samples
    )
    return (
        likelihood(task, nats, baselines(task), unit),
        conditioning(score, test, names, nats, asked.clusters, seed, unit),
        *_of_generated(model, sides, seed, samples),
        *([guarded(feeding, refitted)] if feedings else []),
    )


def unit_of(schema: Schema) -> str:
    """What the report calls a step."""
    field = schema.steps[0]
    if schema.form != "text" or not isinstance(field, Text):
        return "step"
    return {"char": "character", "word": "word", "bpe": "piece"}[field.unit]


def _of_generated(model: Judged, sides: Sides, seed: int, samples: int) -> tuple[Section, ...]:
    """The sections that compare generated with real sequences; of very many, some are drawn for it."""
    codec = model.codec_
    share = max(1, MADE // max(samples * codec.longest, 1))
    test = sides.test.take(evenly(len(sides.test), share, seed))
    train = sides.train.take(evenly(len(sides.train), max(1, MADE // max(codec.longest, 1)), seed))
    encoded = codec.encode(test)
    paths, drawn, ended = made(model.net_, codec, test, encoded, samples, seed)
    twins = made(model.net_, codec, train, codec.encode(train), 1, seed + 1).examples
    found = material(codec.schema, train, test, paths, twins, ended)
    others = _rivals(codec, found, train, test, seed)
    blocks = {"block bootstrap": block_bootstrap(train, test, samples, seed)}
    if (garch := garch_windows(sides.train, sides.test, test, samples, seed)) is not None:
        blocks["GARCH(1,1)-t, every day before known"] = garch
    alike = sides_alike(codec.schema, train, test, paths, twins, *blocks.values())[4:]
    few = min(samples, SCORED)
    own = drawn.take((np.arange(len(test))[:, None] * samples + np.arange(few)).ravel())
    names = tuple(field.name for field in codec.schema.steps)
    nats = surprise(model.net_, names, encoded, own, found.test.independent, few)
    return sections(found, seed, {**others, **dict(zip(blocks, alike, strict=True))}, nats)


def _rivals(codec: Codec, found: Material, train: Examples, test: Examples, seed: int) -> dict[str, Side]:
    """Independent steps and AR(1), where there are numbers to score."""
    if not found.test.numbers:
        return {}
    known, asked = (evidence(codec, side, codec.encode(side)) for side in (train, test))
    return {
        "independent steps": independent(found.train, len(test), found.samples, seed),
        "AR(1)": autoregressive(found.train, known, asked, targets(codec), found.samples, seed),
    }


def sides_of(model: Judged, data: Examples, train: Examples | None, seed: int) -> Sides:
    """What is judged, and what baselines learn from.

    Given training data, all of `data` is judged. Without, data that the model was fitted to falls into the same two
    parts as in training; other data is cut in two by whole sequences, windows by time.

    Raises:
        DataError: too little to judge, or to learn from.
    """
    codec, config = model.codec_, model.config_
    encoded = codec.encode(data)
    fitted = fingerprint(encoded)["data"] == config.data
    if train is not None:
        notes = (FLATTERED,) if fitted else ()
        same = fingerprint(codec.encode(train))["data"] == config.data
        origin = "what the model was fitted to" if same else "not what the model was fitted to, or in another order"
        return _checked(Sides(train, data, f"the training data given, {origin}", notes))
    if not fitted:
        learned, judged = _cut(encoded, JUDGED, seed)
        note = (
            f"No training data was given (train=...), so the baselines learned from {len(learned):,} of the sequences, "
            f"and are judged, as the model is, on {len(judged):,} others. The model learned from {codec.examples:,}."
        )
    elif config.training.holdout:
        learned, judged = _cut(encoded, config.training.holdout, config.seed)
        note = HELD
    else:
        learned, judged = _cut(encoded, JUDGED, seed)
        note = FLATTERED
    return _checked(Sides(data.take(learned), data.take(judged), "the rest of the data", (note,)))


def facts_of(model: Judged, sides: Sides) -> dict[str, str]:
    """What was judged on what, in words."""
    config = model.config_
    what = "characters" if config.codec.schema.form == "text" else "steps"
    told = lambda part: f"{len(part):,} sequences of {part.offsets[-1]:,} {what} in all"  # noqa: E731
    layers = f"{config.network.layers} layer{'s' * (config.network.layers > 1)}"
    return {
        "judged": told(sides.test),
        "baselines": f"learned from {told(sides.train)}: {sides.origin}",
        "model": f"{layers} of {config.size} hidden units, {config.summary.weights:,} weights, seed {config.seed}; "
        f"fitted to {config.codec.examples:,} sequences of fingerprint {config.data[:16]}",
    }


def _cut(encoded: Encoded, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to judge, as training cuts them."""
    try:
        return validation_split(encoded, share, seed)
    except TrainingError:  # its words are those of a fit; ours say what an evaluation takes
        return np.arange(0), np.arange(len(encoded))


def _checked(sides: Sides) -> Sides:
    for part, what in ((sides.test, "to judge"), (sides.train, "for the baselines to learn from")):
        if len(part) < LEAST or not part.offsets[-1]:
            found = f"{len(part)} sequences of {part.offsets[-1]} steps in all"
            raise DataError(part.location, f"at least {LEAST} sequences {what}, and not all of them empty", found)
    return sides
