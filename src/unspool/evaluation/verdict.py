"""The verdict of a report in ten seconds: every section good, fair or bad against its yardstick, and what follows."""

from collections.abc import Callable, Iterable, Mapping

from unspool.evaluation.document import BREAKS, BY_INPUT, MODEL_NAME, Grade, Headline, Judgement, Section
from unspool.evaluation.split import FLATTERED

GRADES: tuple[Grade, ...] = ("good", "fair", "bad")
"""From the best to the worst."""
SectionFigures = Mapping[str, float | None]

SURE = 2.0
"""Standard errors from which on a difference counts."""
MAX_OFF_COVERAGE = (0.05, 0.12)
"""Of the share in the 80 % band from 80 %: the most of a good and of a fair model. The pairs below mean the same."""
MAX_ENERGY_RATIO = (1.01, 1.05)
"""The energy score over that of the best baseline."""
MAX_DISTANCE, MAX_TIMES_TRAINING = (0.05, 0.15), (2.0, 4.0)
"""A distance of distributions, absolutely or as a multiple of the distance of training from held-out data."""
MAX_CORRELATION_GAP = (0.1, 0.25)
"""The largest difference of a correlation, absolutely or as a multiple of that of training."""
MAX_DRIFTS = (0.0, 1.0)
"""Faults that the section on drift flags."""
MAX_ACCURACY = (0.6, 0.75)
"""Accuracy of the detector."""
MIN_TRANSFER_RATIO = (0.9, 0.6)
"""The ratio of what generated and real sequences teach."""
MAX_LENGTH_SHIFT = (0.25, 0.5)
"""The largest difference of mean lengths of sequences with like inputs, in standard deviations of lengths."""
MAX_BREAKING = (0.02, 0.1)
"""The share of generated sequences, above that of held-out ones, that break a rule which real sequences keep."""
MIN_ENDED = (0.95, 0.8)
"""The share of generated sequences that stop by themselves."""


USES = {
    "predictions": ("likelihood", "input_use", "calibration", "forecasts"),
    "generated sequences": (
        "rules", "detector", "drift", "lengths", "marginals", "dynamics", "returns", "transfer",
    ),
    "data that must not repeat training": ("memory",),
}  # fmt: skip
"""What a model is used for, and the sections that decide it."""


def judge(sections: Iterable[Section]) -> tuple[Judgement, ...]:
    """Every available section that has a yardstick, in the order of the report.

    Examples:
        >>> found = Section("drift", "Does it drift?", "No.", figures={"flags": 0.0})
        >>> judge([found])[0][2:]
        ('no fault', 'none', 'good')
    """
    judged = []
    for section in sections:
        rule = _RULES.get(section.name)
        result = rule(section.figures) if rule and section.available and section.figures else None
        if result is not None:
            judged.append(Judgement(section.name, section.title, *result))
    return tuple(judged)


def headline(judged: Iterable[Judgement], notes: Iterable[str] = ()) -> Headline | None:
    """What the model can be trusted for; `None` if nothing could be judged.

    A use is as good as the weakest of its lines. A model that predicts worse than a baseline is good for nothing.

    Examples:
        >>> line = Judgement("likelihood", "How well?", "1.0 nats", "1.5 of the best baseline", "good")
        >>> headline([line]).text
        'Trust it for predictions.'
    """
    lines = {one.section: one for one in judged}
    facts = {
        use: max((lines[name] for name in names if name in lines), key=_rank) for use, names in USES.items()
        if lines.keys() & set(names)
    }  # fmt: skip
    if not facts:
        return None
    grade = max(facts.values(), key=_rank).grade
    likelihood = lines.get("likelihood")
    if likelihood is not None and likelihood.grade == "bad":
        facts["predictions"] = likelihood
        return Headline("Don't trust it: a simple baseline predicts better.", "bad", facts)
    if grade == "good" and len(facts) == len(USES):
        text = "Trust it."
    else:
        by_grade = {kind: [use for use, fact in facts.items() if fact.grade == kind] for kind in GRADES}
        leads = ("Trust it for", "with care for" if by_grade["good"] else "Trust it with care for", "not for")
        parts = [
            f"{lead} {' and '.join(by_grade[kind])}" for lead, kind in zip(leads, GRADES, strict=True) if by_grade[kind]
        ]
        text = "; ".join(parts) + "." if by_grade["good"] or by_grade["fair"] else "Don't trust it."
    if FLATTERED in notes:
        text = f"Not proven, for it was judged on its own training data. Otherwise: {text}"
        grade = max(grade, "fair", key=GRADES.index)
    return Headline(text, grade, facts)


def _rank(line: Judgement) -> int:
    return GRADES.index(line.grade)


Result = tuple[str, str, Grade] | None


def _at_most(value: float, limits: tuple[float, float]) -> Grade:
    return GRADES[sum(value > limit for limit in limits)]


def _worst(*grades: Grade) -> Grade:
    return max(grades, key=GRADES.index)


def _likelihood(figures: SectionFigures) -> Result:
    gain, error, nats, best = (figures.get(name) for name in ("gain", "gain_error", "nats", "baseline_nats"))
    if gain is None or nats is None or best is None:
        return None
    grade: Grade = "fair" if abs(gain) <= SURE * (error or 0.0) else "good" if gain > 0 else "bad"
    return f"{nats:.3f} nats per step", f"{best:.3f} of the best baseline", grade


def _input_use(figures: SectionFigures) -> Result:
    lost, error = figures.get("lost"), figures.get("lost_error") or 0.0
    if lost is None:
        return None
    found = f"{lost:z.3f} nats per step lost with the inputs of others"
    return (
        found,
        f"more than {SURE * error:.3f} ({SURE:.0f} standard errors)",
        "good" if lost > SURE * error else "fair",
    )


def _calibration(figures: SectionFigures) -> Result:
    covered = figures.get("coverage_80")
    if covered is None:
        return None
    chance = SURE * (figures.get("coverage_80_error") or 0.0)
    good, fair = (max(limit, chance) for limit in MAX_OFF_COVERAGE)
    yardstick = "80%" if chance <= MAX_OFF_COVERAGE[0] else f"80%, within {chance:.0%} by chance"
    return f"{covered:.1%} of real numbers in the 80% band", yardstick, _at_most(abs(covered - 0.8), (good, fair))


def _forecasts(figures: SectionFigures) -> Result:
    energies = {name.removeprefix("energy "): x for name, x in figures.items() if name.startswith("energy ") and x}
    own = energies.pop(MODEL_NAME, None)
    if own is None or not energies:
        return None
    best = min(energies, key=lambda name: energies[name])
    yardstick = f"{energies[best]:.3f} of the best baseline, {best}"
    good, fair = MAX_ENERGY_RATIO
    fair = max(fair, 1 + SURE * (figures.get("energy_error") or 0.0) / energies[best])
    return f"energy score {own:.3f}", yardstick, _at_most(own / energies[best], (good, fair))


def _lengths(figures: SectionFigures) -> Result:
    distance, ended = figures.get("KS"), figures.get("ended")
    if distance is None or ended is None:
        return None
    training = figures.get("KS of training")
    if training is None:
        return "all of one length", "all of one length", "good"
    stopping = GRADES[sum(ended < limit for limit in MIN_ENDED)]
    found = f"distance of lengths {distance:.3f}" + (f"; {ended:.0%} stop by themselves" if stopping != "good" else "")
    shift, name = max(((x or 0.0, name) for name, x in figures.items() if name.startswith(BY_INPUT)), default=(0.0, ""))
    shifted = _at_most(shift, MAX_LENGTH_SHIFT)
    if shifted != "good":
        found += f"; means by {name.removeprefix(BY_INPUT)} off by {shift:.1f} standard deviations"
    grade = _worst(_beside(distance, training, MAX_DISTANCE), stopping, shifted)
    return found, f"{training:.3f} of training data", grade


def _beside(value: float, training: float, limits: tuple[float, float]) -> Grade:
    """A distance, beside that of training from held-out data."""
    low, high = (max(limit, times * training) for limit, times in zip(limits, MAX_TIMES_TRAINING, strict=True))
    return _at_most(value, (low, high))


def _against_training(
    figures: SectionFigures, prefixes: Mapping[str, tuple[float, float]]
) -> tuple[str, float, float, Grade] | None:
    """The worst of the figures with these prefixes, with the figure `NAME, of training` that it is held against."""
    rows = [
        (_beside(value, training, limits), value - training, name, value, training)
        for prefix, limits in prefixes.items()
        for name, value in figures.items()
        if name.startswith(prefix)
        and value is not None
        and (training := figures.get(f"{name}, of training")) is not None
    ]
    if not rows:
        return None
    grade, _, name, value, training = max(rows, key=lambda row: (GRADES.index(row[0]), row[1]))
    return name, value, training, grade


def _marginals(figures: SectionFigures) -> Result:
    worst = _against_training(figures, {"distance ": MAX_DISTANCE})
    if worst is None:
        return None
    name, value, training, grade = worst
    return f"distance of {name.removeprefix('distance ')} {value:.3f}", f"{training:.3f} of training data", grade


def _dynamics(figures: SectionFigures) -> Result:
    limits = {"autocorrelation": MAX_CORRELATION_GAP, "correlation": MAX_CORRELATION_GAP, "transitions ": MAX_DISTANCE}
    worst = _against_training(figures, limits)
    if worst is None:
        return None
    name, value, training, grade = worst
    what = name.replace("transitions ", "transitions of ").removesuffix(", largest difference")
    return f"distance of {what} {value:.3f}", f"{training:.3f} of training data", grade


def _rules(figures: SectionFigures) -> Result:
    generated, real, broken = (figures.get(name) for name in ("breaking", "breaking, held out", "broken"))
    if generated is None or real is None or broken is None:
        return None
    if not broken:
        return "no rule is broken more often than chance allows", "none", "good"
    first = next((f", such as: {name.removeprefix(BREAKS)}" for name in figures if name.startswith(BREAKS)), "")
    found = f"{generated:.1%} of sequences break a rule that real ones keep{first}"
    return found, f"{real:.1%} of held-out sequences", _at_most(generated - real, MAX_BREAKING)


def _drift(figures: SectionFigures) -> Result:
    flags = int(figures.get("flags") or 0)
    return (
        ("no fault" if not flags else f"{flags} fault{'s' * (flags > 1)}"),
        "none",
        _at_most(float(flags), MAX_DRIFTS),
    )


def _returns(figures: SectionFigures) -> Result:
    falls = {name: x for name, x in figures.items() if name.endswith(", distance of drawdowns") and x is not None}
    if not falls:
        return None
    name = max(falls, key=lambda name: falls[name])
    return f"{name.partition(',')[0]}: drawdowns off by {falls[name]:.3f}", "0", _at_most(falls[name], MAX_DISTANCE)


def _detector(figures: SectionFigures) -> Result:
    accuracy, error = figures.get("accuracy"), figures.get("error") or 0.0
    if accuracy is None:
        return None
    limits = (max(MAX_ACCURACY[0], 0.5 + SURE * error), MAX_ACCURACY[1])
    return f"a classifier tells {accuracy:.1%} right", "50%, chance", _at_most(accuracy, limits)


def _transfer(figures: SectionFigures) -> Result:
    ratios = {
        name.removeprefix("ratio "): x for name, x in figures.items() if name.startswith("ratio ") and x is not None
    }
    if not ratios:
        return None
    name = min(ratios, key=lambda name: ratios[name])
    good, fair = MIN_TRANSFER_RATIO
    by_chance = 1 - SURE * (figures.get(f"error of ratio {name}") or 0.0)
    grade = GRADES[sum(ratios[name] < limit for limit in (min(good, by_chance), fair))]
    return f"{ratios[name]:.2f} of what real ones teach about {name}", "1.00", grade


def _memory(figures: SectionFigures) -> Result:
    copies, real, ratio = (figures.get(name) for name in ("copies", "copies, held out", "distance ratio"))
    if copies is None or real is None or ratio is None:
        return None
    found = f"{copies:.1%} copies, {ratio:.2f} times the distance of held-out data"
    return found, f"{real:.1%} copies among held-out data", "bad" if figures.get("repeats") else "good"


_RULES: dict[str, Callable[[SectionFigures], Result]] = {
    "likelihood": _likelihood,
    "input_use": _input_use,
    "calibration": _calibration,
    "forecasts": _forecasts,
    "lengths": _lengths,
    "marginals": _marginals,
    "dynamics": _dynamics,
    "rules": _rules,
    "drift": _drift,
    "returns": _returns,
    "detector": _detector,
    "transfer": _transfer,
    "memory": _memory,
}
