"""The columns of a comparison in all of its sets: numbers, and codes for values that repeat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals

MAX_DISTINCT_NUMBERS = 300
"""Distinct training numbers of a column up to which each number counts as a value."""
TOLERANCE, DATE_TOLERANCE = 1e-6, 1e-11
"""Numbers, and days since 1970, count as equal up to this multiple of the largest one."""
MAX_EXACT = 2**50
"""Symbols that are larger numbers are no numbers."""
INPUT, STEP, WHOLE_SEQUENCE = "input", "step", "sequence"
"""Where a value lies."""
MISSING_WORD = "missing"
ValueSource = tuple[str, str, int]
"""Where a value lies, the name of its column, and how many steps before."""


@dataclass(frozen=True, eq=False)
class BaseColumn:
    """A column of training, held-out and generated records: numbers, values that repeat, or both.

    Attributes:
        name: of the column.
        place: `INPUT` or `STEP`.
        texts: of the codes in words.
        codes: by set, (R,) codes in the order of `texts`; a higher code is a value that training doesn't have.
        numbers: by set, (R,) numbers, NaN where missing.
        date: whether the numbers are days since 1970.
        flag: whether the numbers stand for yes and no.
        text: whether the values are the characters of a text.
        unit: how far equal numbers may be apart.
    """

    name: str
    place: str
    texts: tuple[str, ...] = ()
    codes: tuple[Codes, ...] = ()
    numbers: tuple[Reals, ...] = ()
    date: bool = False
    flag: bool = False
    text: bool = False
    unit: float = 0.0

    @property
    def source(self) -> ValueSource:
        """Where its values lie."""
        return (self.place, self.name, 0)

    @property
    def words(self) -> str:
        """Its name, with the place if that is no step."""
        return f"{self.name} (input)" if self.place == INPUT else "the character" if self.text else self.name

    @property
    def words_before(self) -> str:
        """Its name at the step before."""
        return "the character before" if self.text else f"{self.words} of the step before"


def step_bases(comparison: Comparison, sets: Sequence[SampleSet]) -> list[BaseColumn]:
    """The columns of the steps."""
    found = []
    for name in sets[0].numbers:
        kind = comparison.kinds.get(name)
        values = tuple(one.numbers[name] for one in sets)
        found.append(_base_of_numbers(name, STEP, values, kind == "date", kind == "flag"))
    for name in sets[0].symbols:
        text = comparison.kinds.get(name) == "text"
        found.append(_base_of_symbols(name, STEP, [one.symbols[name] for one in sets], sets[0].names[name], text))
    return found


def input_bases(sets: Sequence[SampleSet], rows: Sequence[Codes]) -> list[BaseColumn]:
    """Inputs of one column, a row for each record."""
    found = []
    for name, column in sets[0].inputs.items():
        values = [one.inputs[name][at] for one, at in zip(sets, rows, strict=True)]
        if column.ndim == 1:
            found.append(_base_of_symbols(name, INPUT, values, sets[0].names[f"input {name}"], False))
        elif column.shape[1] == 1:
            found.append(_base_of_numbers(name, INPUT, tuple(one[:, 0] for one in values), False, False))
    return found


def _base_of_numbers(name: str, place: str, values: tuple[Reals, ...], date: bool, flag: bool) -> BaseColumn:
    known = values[0][np.isfinite(values[0])]
    unit = (DATE_TOLERANCE if date else TOLERANCE) * float(np.abs(known).max(initial=0.0)) + 1e-12
    one = BaseColumn(name, place, numbers=values, date=date, flag=flag, unit=unit)
    codes, levels = coded(values, unit)
    if date or len(levels) > MAX_DISTINCT_NUMBERS:
        return one
    texts = tuple(_yes_or_no(x) if flag else number_in_words(x, date) for x in levels)
    return BaseColumn(name, place, *with_missing(codes, texts), values, date, flag, unit=unit)


def _base_of_symbols(name: str, place: str, values: Sequence[Codes], names: Sequence[Any], text: bool) -> BaseColumn:
    known = np.unique(values[0][values[0] != ABSENT])
    new = np.full(len(names) + 1, len(known))
    new[known] = np.arange(len(known))
    codes = [np.where(one == ABSENT, -1, new[one]) for one in values]
    numbers: tuple[Reals, ...] = ()
    if not text and all(_is_number(one) for one in names):
        scale = np.array([*names, np.nan], np.float64)
        numbers = tuple(scale[one] for one in values)  # ABSENT is the last one
    shown = [chr(names[k]) if text else names[k] for k in known]
    unit = TOLERANCE * float(max((abs(x) for x in names), default=0.0)) + 1e-12 if numbers else 0.0
    return BaseColumn(name, place, *with_missing(codes, tuple(map(_symbol_word, shown))), numbers, text=text, unit=unit)


def _is_number(value: Any) -> bool:
    """Whether a symbol is a number that float64 knows from its neighbours."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_EXACT


def with_missing(codes: Sequence[Codes], texts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Codes, ...]]:
    """Codes whose -1 is a code of its own, if training has it; else it is a code that training doesn't have."""
    size = len(texts)
    if (codes[0] == -1).any():
        return (*texts, MISSING_WORD), tuple(
            np.where(one == -1, size, np.where(one >= size, size + 1, one)) for one in codes
        )
    return texts, tuple(np.where(one == -1, size, one) for one in codes)


def coded(values: Sequence[Reals], unit: float) -> tuple[list[Codes], Reals]:
    """Codes of numbers, and the numbers of training in order; -1 is missing, a number not in training the next code.

    Numbers that differ by no more than `unit` are equal.

    Examples:
        >>> codes, levels = coded([np.array([2.0, 1.0, np.nan]), np.array([1.0 + 1e-9, 3.0])], 1e-6)
        >>> [one.tolist() for one in codes], levels.tolist()
        ([[1, 0, -1], [0, 2]], [1.0, 2.0])
    """
    known = np.unique(values[0][np.isfinite(values[0])])
    levels = known[np.diff(known, prepend=-np.inf) > unit]
    if len(levels) and (known - levels[np.searchsorted(levels, known, "right") - 1]).max() > unit:
        levels = known  # neighbours are nearer than `unit` all along: no values that repeat
    found = []
    for one in values:
        if not len(levels):
            found.append(np.where(np.isnan(one), -1, 0))
            continue
        at = np.clip(np.searchsorted(levels, one + unit, "right") - 1, 0, len(levels) - 1)
        near = np.abs(one - levels[at]) <= unit
        found.append(np.where(np.isnan(one), -1, np.where(near, at, len(levels))))
    return found, levels


def _yes_or_no(value: float) -> str:
    return "yes" if value > 0 else "no"


def _symbol_word(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) and not value.strip() else str(value)


def number_in_words(value: float, date: bool) -> str:
    """A number or a date in words, a date with its time if it has one.

    Examples:
        >>> number_in_words(1234.5, False), number_in_words(19000.0, True), number_in_words(19000.25, True)
        ('1234.5', '2022-01-08', '2022-01-08 06:00')
    """
    if np.isnan(value):
        return MISSING_WORD
    if not date or np.isinf(value):
        return f"{value:.10g}"
    minutes = int(np.floor(value * 1440 + 1e-3))
    moment = str(np.datetime64("1970-01-01") + np.timedelta64(minutes, "m"))
    return moment[:10] if minutes % 1440 == 0 else moment[:16].replace("T", " ")


def change_in_words(value: float, date: bool) -> str:
    """The difference of two numbers, or of two dates, in words."""
    if not date:
        return f"{value:.10g}"
    return f"{value:.6g} days" if abs(value) >= 1 else f"{value * 24:.6g} hours"
