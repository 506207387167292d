"""Which feeding helps on some data: the same network, fitted anew under each, and what comes of it."""

from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from unspool.config import Config
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.errors import TrainingError
from unspool.evaluation.document import Cell, Column, Measured, Section, Table
from unspool.evaluation.samples.generate import made
from unspool.evaluation.samples.nats import scored
from unspool.evaluation.samples.proper_scores import MEMBERS, energy
from unspool.evaluation.samples.sample_set import sides
from unspool.evaluation.samples.statistics import by_sequence, evenly, ratio, spread
from unspool.evaluation.sections import detector
from unspool.evaluation.sections.forecasts import WHOLE
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.training.batching import validation_split
from unspool.training.defaults import plan
from unspool.training.train_step import Feeding
from unspool.training.trainer import TrainingData, train

NAME, TITLE = "feeding", "Would it help to be fed its own output while it learns?"
FEEDINGS: tuple[Feeding, ...] = get_args(Feeding)
UPDATES, STEPS = 1_000, 100_000
"""Updates of each fit, and steps that it learns from, at the most."""
HELD = 0.1
"""Share of the training sequences that decides when a fit ends, where the model's own options hold none out."""
SURE = 2.0
"""Standard errors by which paths must be nearer for a feeding to have helped."""


class Fed(NamedTuple):
    """How one feeding did.

    Attributes:
        nats: (N,) of held-out sequences that are read as they are.
        energy: (M,) energy scores of paths that were generated for some of them.
        told: the accuracy of a classifier that tells paths from held-out sequences; None where these are too few.
    """

    nats: NDArray[np.float64]
    energy: NDArray[np.float64]
    step_context: Measured | None


def feeding(
    config: Config,
    codec: Codec,
    known: Examples,
    judged: Examples,
    clusters: NDArray[np.int64],
    seed: int,
    samples: int,
) -> Section:
    """Fit the model's network under every feeding, with one budget, and judge each as it reads and as it generates.

    Args:
        config: the model's; its network and training options, but for the feeding, are those of the fits.
        codec: its fitted columns.
        known: the training sequences.
        judged: N held-out sequences.
        clusters: (N,) which of them depend on each other.
        seed: of the fits, and of all that is drawn.
        samples: sequences generated for each held-out input.

    Raises:
        MissingExtra: SciPy or scikit-learn is not installed.
    """
    if samples < MEMBERS:
        why = f"It takes at least {MEMBERS} generated sequences for each input; there are {samples}."
        return Section(NAME, TITLE, why, made=False)
    known = known.take(evenly(len(known), max(STEPS * len(known) // max(int(known.offsets[-1]), 1), 1), seed))
    try:
        nets = {how: _fitted(config, codec, known, how, seed) for how in FEEDINGS}
    except TrainingError as error:
        return Section(NAME, TITLE, str(error), made=False)
    encoded, rows = codec.encode(judged), evenly(len(judged), WHOLE, seed)
    some = judged.take(rows)
    paths = {how: made(net, codec, some, encoded.take(rows), samples, seed).examples for how, net in nets.items()}
    train_side, real, *generated = sides(codec.schema, known, some, *paths.values())
    units = {name: spread(x) for name, x in train_side.numbers.items()}
    fed = {}
    for (how, net), side in zip(nets.items(), generated, strict=True):
        first = side.take(np.arange(0, len(side), samples))
        told = None if detector.lacking(real) else detector.detect(real, first, seed).accuracy
        fed[how] = Fed(-scored(net, encoded).sum(1), energy(real, side, units, symbols=True), told)
    return compared(config.training.feeding, fed, encoded.lengths, clusters, clusters[rows])


def _fitted(config: Config, codec: Codec, known: Examples, how: Feeding, seed: int) -> Net:
    encoded = codec.encode(known)
    options = config.training.but(feeding=how, holdout=config.training.holdout or HELD, seconds=None)
    rows, validation_rows = validation_split(encoded, options.holdout, seed)
    learned = encoded.take(rows)
    network = config.network.but(size=config.size, embedding=config.embedding)
    numbers = plan(network, options, codec, examples=len(learned), steps=int(learned.offsets[-1]))
    updates = min(numbers.updates, UPDATES)
    looks = max(1, min(numbers.round, updates // 10))
    numbers = replace(numbers, updates=updates, round=looks, warmup=updates // 10 + 1)
    shape = architecture_of(codec, numbers.network, numbers.size, numbers.embedding)
    validation = encoded.take(validation_rows)
    task = TrainingData.of(learned, validation, stops=shape.stops, seed=seed, segment=numbers.segment)
    return train(task, numbers, Net(np.random.default_rng([seed, 5]), shape))[0]


def compared(
    own: Feeding,
    fed: dict[Feeding, Fed],
    steps: NDArray[np.int64],
    clusters: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> Section:
    """The section about what each feeding came to.

    Args:
        own: the model's feeding.
        fed: by feeding.
        steps: (N,) of every held-out sequence.
        clusters: (N,) which of them depend on each other; `chosen` (M,) of those that have energy scores.
        chosen: see `clusters`.
    """
    base = fed["teacher"]
    gains = {
        how: (by_sequence(base.energy - one.energy, chosen), ratio(one.nats - base.nats, steps, clusters))
        for how, one in fed.items()
    }
    rows: list[tuple[Cell, ...]] = []
    for how, one in fed.items():
        nearer, more = gains[how] if how != "teacher" else (None, None)
        rows.append(
            (how, by_sequence(one.energy, chosen), nearer, ratio(one.nats, steps, clusters), more, one.step_context)
        )
    columns = (
        Column("feeding", "text"),
        Column("energy score", better="lower"),
        Column("nearer than teacher"),
        Column("nats", better="lower"),
        Column("more than teacher"),
        Column("told from real ones", "percent", 1, better="lower"),
    )
    note = (
        "The model's network, fitted anew under each feeding with the same data, seed and updates "
        f"({UPDATES:,} at the most). Energy score: of whole paths that each generates, fed with its own output; nats: "
        "of held-out steps that it reads as they are; told: the accuracy of a classifier, 50 % is chance. "
        "The errors are those of the sequences judged, not of the fits: another seed may differ by more."
    )
    figures: dict[str, float | None] = {f"energy {how}": float(one.energy.mean()) for how, one in fed.items()}
    figures |= {f"nearer {how}": near.value for how, (near, _) in gains.items()}
    table = Table("The same network under each feeding", columns, tuple(rows), note)
    return Section(NAME, TITLE, _verdict(own, gains), (table,), figures)


def _verdict(own: Feeding, gains: dict[Feeding, tuple[Measured, Measured]]) -> str:
    """The feeding whose paths come nearest beyond doubt, and what it costs."""
    sure = {
        how: near.value
        for how, (near, _) in gains.items()
        if near.value is not None and near.error is not None and near.value > SURE * near.error
    }
    best: Feeding = max(sure, key=lambda how: sure[how]) if sure else "teacher"
    near, more = gains[best]
    if best == "teacher":
        said = "Neither scheduled nor free feeding helped: no paths come nearer to real ones than under the teacher's"
    else:
        cost = f"{abs(more.value or 0.0):.3f} nats a step {'more' if (more.value or 0.0) > 0 else 'less'}"
        said = (
            f"{best.capitalize()} feeding helped: its paths come nearer to real ones by {near.value:.3f} ± "
            f"{near.error:.3f} in the energy score, at {cost}"
        )
    hint = "" if own == best else f"; this model was fitted under {own} feeding: try Training(feeding={best!r})"
    return said + hint + "."
