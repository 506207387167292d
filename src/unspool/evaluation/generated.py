"""All sections of a report that compare generated sequences with real ones, in their order."""

from collections.abc import Mapping

import numpy as np

from unspool.evaluation.calibration import calibration
from unspool.evaluation.detector import detector
from unspool.evaluation.dynamics import dynamics
from unspool.evaluation.exposure import exposure
from unspool.evaluation.lengths import length
from unspool.evaluation.marginals import marginals
from unspool.evaluation.memory import memory
from unspool.evaluation.scores import scores
from unspool.evaluation.section import Section
from unspool.evaluation.sides import Material, Side
from unspool.evaluation.stylised import stylised
from unspool.evaluation.transfer import transfer


def sections(material: Material, seed: int, others: Mapping[str, Side] | None = None) -> tuple[Section, ...]:
    """Calibration, paths, length, marginals, dynamics, returns, exposure, detector, transfer and memory.

    The same material and seed give the same sections.

    Args:
        material: real and generated sequences.
        seed: of all that is drawn on the way.
        others: more rivals for the paths by name, each with as many sequences as `material.paths`, in its order.

    Raises:
        MissingExtra: a package of the extra `report` is not installed.
    """
    # Sequences that blew up have figures beyond all bounds; a report shows those as dashes, and the rest as it is.
    with np.errstate(over="ignore", invalid="ignore"):
        return (
            calibration(material, seed),
            scores(material, seed, others),
            length(material, seed),
            marginals(material),
            dynamics(material),
            stylised(material),
            exposure(material),
            detector(material, seed),
            transfer(material, seed),
            memory(material, seed),
        )
