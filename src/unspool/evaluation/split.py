"""The data that a report judges the model on, and the data that its baselines learn from."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from unspool.config import Config, Summary, fingerprint
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.errors import DataError, SchemaError, TrainingError
from unspool.network.decoder import Net
from unspool.streaming.reading import gather_sample
from unspool.training.batching import validation_split

TEST_SHARE = 1 / 3
"""Share of the data that is judged if no training data was given; baselines learn from the rest."""
MIN_SEQUENCES = 2
"""Sequences that must be judged, and learned from."""
FLATTERED = "The model was fitted to the data that it is judged on: the figures flatter it."
VALIDATION = (
    "The model was fitted to this data. The report judges the sequences that the fit held out for validation. They "
    "decided when training stopped and which weights were kept, nothing else. Vocabularies and scales come from all of "
    "the data; no weight and no bias of the network was fitted to the validation sequences. So the figures flatter the "
    "model a little."
)


@runtime_checkable
class FittedModel(Protocol):
    """The attributes of a model that an evaluation needs."""

    config_: Config
    net_: Net
    row_net_: Net | None

    @property
    def codec_(self) -> Codec: ...  # noqa: D102


class Split(NamedTuple):
    """Training and test sequences, each in original units and as the network reads them.

    Attributes:
        train: to fit baselines to.
        test: to judge the model and the baselines on.
        train_encoded: `train` as the network reads it.
        test_encoded: `test` as the network reads it.
        origin: the source of `train`, for the report's facts.
        notes: warnings to the reader of the report.
    """

    train: Examples
    test: Examples
    train_encoded: Encoded
    test_encoded: Encoded
    origin: str
    notes: tuple[str, ...]


def read_split(model: FittedModel, data: tuple[Any, Any], train: tuple[Any, Any] | None, seed: int) -> Split:
    """As `split_of`, of tables and their steps; of those larger than memory a sample, as a note says."""
    test, notes = gather_sample(model.codec_, *data, seed)
    training, more = (None, ()) if train is None else gather_sample(model.codec_, *train, seed)
    split = split_of(model, test, training, seed)
    return split._replace(notes=(*notes, *more, *split.notes))


def split_of(model: FittedModel, data: Examples, train: Examples | None, seed: int) -> Split:
    """The sequences that are judged, and those that baselines learn from.

    With training data, all of `data` is judged. Without training data, `data` is cut in two by whole sequences, windows
    by time. If the model was fitted to `data`, the cut is that of the fit.

    Raises:
        DataError: too little to judge, or to learn from.
    """
    codec, config = model.codec_, model.config_
    data, encoded, left_out = _scorable(codec, data)
    fitted = fingerprint(encoded)["data"] == config.data
    if train is not None:
        train, known, more = _scorable(codec, train)
        same = fingerprint(known)["data"] == config.data
        origin = "what the model was fitted to" if same else "not what the model was fitted to, or in another order"
        notes = (*left_out, *more, *((FLATTERED,) if fitted else ()))
        return _checked(Split(train, data, known, encoded, f"the training data given, {origin}", notes))
    share, cut_seed, note = TEST_SHARE, seed, FLATTERED
    if fitted and config.training.holdout:
        share, cut_seed, note = config.training.holdout, config.seed, VALIDATION
    try:
        learned, judged = validation_split(encoded, share, cut_seed)
    except TrainingError:  # its message is about a fit; `_checked` says what an evaluation needs
        learned, judged = np.arange(0), np.arange(len(encoded))
    if not fitted:
        note = (
            f"No training data was given (train=...), so the baselines learned from {len(learned):,} of the sequences, "
            f"and are judged, as the model is, on the {len(judged):,} others. The model learned from "
            f"{codec.examples:,} sequences."
        )
    parts = (data.take(learned), data.take(judged), encoded.take(learned), encoded.take(judged))
    return _checked(Split(*parts, "the rest of the data", (*left_out, note)))


def _scorable(codec: Codec, data: Examples) -> tuple[Examples, Encoded, tuple[str, ...]]:
    """The sequences that the model can score, and a note on the others."""
    try:
        return data, codec.encode(data), ()
    except SchemaError as error:
        good = codec.readable(data)
        if not good.any():
            raise
        note = f"{(~good).sum():,} of {len(data):,} sequences are left out, because the model can't score them: {error}"
        kept = data.take(good)
        return kept, codec.encode(kept), (note,)


def facts_of(model: FittedModel, split: Split) -> dict[str, str]:
    """The model and the data of the evaluation, in words."""
    config = model.config_
    steps = "characters" if config.codec.schema.form == "text" else "steps"
    layers = f"{config.network.layers} layer{'s' * (config.network.layers > 1)}"
    test, train = (
        f"{len(part):,} sequences of {part.offsets[-1]:,} {steps} in all" for part in (split.test, split.train)
    )
    return {
        "judged": test,
        "baselines": f"learned from {train}: {split.origin}",
        "model": f"{layers} of {config.size} hidden units, {config.summary.weights:,} weights, seed {config.seed}; "
        f"fitted to {config.codec.examples:,} sequences of fingerprint {config.data[:16]}",
        "training": training_in_words(config.summary),
    }


WHY_STOPPED = {
    "decayed": "validation nats stood still, or most of the updates were spent, and the rate fell to zero",
    "time": "the seconds were spent",
    "interrupted": "it was interrupted",
    "diverged": "the likelihood was no longer finite",
}
"""What `Summary.stopped` means."""


def training_in_words(summary: Summary) -> str:
    """How long a training took, and why it ended."""
    stopped = WHY_STOPPED.get(summary.stopped, summary.stopped)
    return (
        f"{summary.seconds:.0f} s, {summary.updates:,} updates, the best weights after {summary.best_update:,}; "
        f"ended because {stopped}"
    )


def _checked(split: Split) -> Split:
    for part, use in ((split.test, "to judge"), (split.train, "for the baselines to learn from")):
        if len(part) < MIN_SEQUENCES or not part.offsets[-1]:
            found = f"{len(part)} sequence{'s' * (len(part) != 1)} of {part.offsets[-1]} steps in all"
            raise DataError(part.location, f"at least {MIN_SEQUENCES} sequences {use}, and not all empty", found)
    return split
