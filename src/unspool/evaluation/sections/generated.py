"""All sections of a report that compare generated sequences with real ones, in their order."""

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np

from unspool.errors import MissingExtra
from unspool.evaluation.document import Section
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.scoring import Surprise
from unspool.evaluation.sections import (
    calibration,
    detector,
    drift,
    dynamics,
    forecasts,
    lengths,
    marginals,
    memory,
    returns,
    transfer,
)


def sections(
    material: Material, seed: int, others: Mapping[str, Side] | None = None, nats: Surprise | None = None
) -> tuple[Section, ...]:
    """Calibration, paths, length, marginals, dynamics, exposure, returns, detector, transfer and memory.

    The same material and seed give the same sections. One whose package isn't installed says so in its place.

    Args:
        material: real and generated sequences.
        seed: of all that is drawn on the way.
        others: more rivals for the paths by name, each with as many sequences as `material.paths`, in its order.
        nats: of real and generated steps, where there is a model to ask.
    """
    jobs: tuple[tuple[ModuleType, Callable[[], Section]], ...] = (
        (calibration, lambda: calibration.calibration(material, seed)),
        (forecasts, lambda: forecasts.scores(material, seed, others)),
        (lengths, lambda: lengths.length(material, seed)),
        (marginals, lambda: marginals.marginals(material)),
        (dynamics, lambda: dynamics.dynamics(material)),
        (drift, lambda: drift.exposure(material, nats)),
        (returns, lambda: returns.stylised(material)),
        (detector, lambda: detector.detector(material, seed)),
        (transfer, lambda: transfer.transfer(material, seed)),
        (memory, lambda: memory.memory(material, seed)),
    )
    return tuple(guarded(module, job) for module, job in jobs)


def guarded(module: ModuleType, job: Callable[[], Section]) -> Section:
    """A section, or one that says which package it lacks."""
    try:
        # Sequences that blew up have figures beyond all bounds; a report shows those as dashes, and the rest as it is.
        with np.errstate(over="ignore", invalid="ignore"):
            return job()
    except MissingExtra as error:
        return Section(module.NAME, module.TITLE, str(error), made=False)
