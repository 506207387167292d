"""Whether generated sequences keep the rules that real ones keep: what always holds, found in training sequences."""

from collections.abc import Sequence

import numpy as np

from unspool.evaluation.document import BREAKS, BY_REAL, Findings, Heading, ReportTable, Row, answers, headings
from unspool.evaluation.rules.columns import INPUT, MISSING_WORD, STEP, WHOLE_SEQUENCE, ValueSource, number_in_words
from unspool.evaluation.rules.derived import DerivedColumn, sequence_table, step_table
from unspool.evaluation.rules.search import DataRule, find_rules, plainness, without_consequences
from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, subsample

MAX_RULE_STEPS = 30_000
"""Steps of each kind of sequences that are looked at."""
MAX_LISTED, MAX_VALUES_LISTED, MAX_CHARACTERS_SHOWN = 8, 4, 80
"""Broken rules that are listed; values that a rule lists; characters of a text that is shown."""
FALSE_ALARMS = 0.01
"""Probability that a perfect model is said to break a rule, over all rules that were tried."""


@answers("rules", "Do generated sequences keep the rules of the data?")
def rules(comparison: Comparison, seed: int) -> Findings:
    """Rules of training sequences that held-out ones keep, and the share of generated ones that break each.

    A rule is broken more often than chance allows if real sequences, broken as often as generated ones, would hold it
    with a probability below `FALSE_ALARMS` over the number of rules that were tried.
    """
    sets, clusters = _sets(comparison, seed)
    tables = step_table(comparison, sets, clusters, seed), sequence_table(comparison, sets, clusters)
    searched = [find_rules(table) for table in tables]
    found = [rule for one in searched for rule in one.rules]
    tried = sum(one.tried for one in searched)
    if not found:
        return Findings("No rule was found that all training sequences keep.", available=False)
    broken = [rule for rule in found if rule.broken_by_more_than_chance(FALSE_ALARMS / tried)]
    any_real, any_generated = (_any_broken(broken, k) for k in (1, 2))
    figures: dict[str, float | None] = {
        "tried": float(tried),
        "kept by real": float(len(found)),
        "broken": float(len(broken)),
        "breaking": any_generated,
        "breaking, held out": any_real,
    }
    lead = f"Real sequences keep {len(found):,} of {tried:,} rules that were tried. "
    kept = _table_of_kept([rule for rule in found if rule not in broken])
    if not broken:
        return Findings(f"{lead}Generated ones break none of them more often than chance allows.", kept, figures)
    apart = without_consequences(broken)
    verdict = (
        f"{lead}Generated ones break {len(broken):,} of them more often than chance allows: {any_generated:.1%} of the "
        f"generated sequences break one at least ({any_real:.1%} of held-out ones). "
        f"One of them: {statement(apart[0])}."
    )
    rows: list[Row] = []
    for rule in apart[:MAX_LISTED]:
        text = statement(rule)
        applies, wrong = (int(one[2].sum()) for one in (rule.applies, rule.broken))
        of_records = wrong / max(applies, 1)
        rows.append((text, rule.shares[1], rule.shares[2], of_records, _example(rule, comparison, sets[2])))
        figures |= {f"{BREAKS}{text}": rule.shares[2], f"{BY_REAL}{text}": rule.shares[1]}
    columns = (
        *_SHARES,
        Heading("generated records", "percent", 1),
        Heading("a generated record that breaks it", "prose"),
    )
    more = len(apart) - len(rows)
    note = (
        "Shares that break a rule: of sequences, and of the generated records that it is about. Rules were found in "
        "training sequences. Only those count that held-out sequences keep too, and that columns "
        "without any relation would break. Of rules that break together, the plainest is listed; plain rules that many "
        "sequences break come first." + (f" {more:,} more are not listed." if more > 0 else "")
    )
    table = ReportTable("Rules that generated sequences break", columns, tuple(rows), note)
    return Findings(verdict, (table, *kept), figures)


_SHARES = (
    Heading("rule", "prose"),
    *headings("held-out sequences", "generated sequences", form="percent", digits=1),
)


def _telling(rule: DataRule) -> float:
    """How little a rule says, for an order: one on all values of several columns says most."""
    return -plainness(rule) * (0.8 if rule.value is not None or not rule.keys else 1.0)


def _table_of_kept(kept: Sequence[DataRule]) -> tuple[ReportTable, ...]:
    """The plainest of the rules that generated sequences keep, one for each column."""
    rows: list[Row] = []
    columns: list[frozenset[ValueSource]] = []
    for rule in sorted(kept, key=_telling):
        if rule.target.sources not in columns and len(rows) < MAX_LISTED:
            columns.append(rule.target.sources)
            rows.append((statement(rule), *rule.shares[1:]))
    note = "Shares of sequences that break a rule. A few rules are listed, the plainest of each column."
    return (
        (ReportTable("Rules that generated sequences keep, up to chance", _SHARES, tuple(rows), note),) if rows else ()
    )


def _sets(comparison: Comparison, seed: int) -> tuple[tuple[SampleSet, ...], list[Codes]]:
    """Training, held-out and generated sequences, of very many a part; and which may depend on each other."""
    sets, clusters = [], []
    owners = np.repeat(np.arange(len(comparison.real)), comparison.samples)
    for one, of in (
        (comparison.train, comparison.train.clusters),
        (comparison.real, comparison.real.clusters),
        (comparison.synthetic, comparison.real.clusters[owners]),
    ):
        size = int(MAX_RULE_STEPS * len(one) // max(1, one.offsets[-1]))
        some = subsample(len(one), max(1, min(size, MAX_RULE_STEPS)), seed)
        sets.append(one.take(some))
        clusters.append(np.unique(of[some], return_inverse=True)[1].astype(np.int64))
    return tuple(sets), clusters


def _any_broken(broken: Sequence[DataRule], k: int) -> float:
    """The share of the sequences of a set that break one of the rules at least."""
    if not broken:
        return 0.0
    breaks = np.zeros(broken[0].table.records[k].count, np.bool_)
    for rule in broken:
        breaks[rule.table.records[k].owner[rule.broken[k]]] = True
    return float(breaks.mean())


def statement(rule: DataRule) -> str:
    """The rule in words."""
    target, codes = rule.target, list(map(int, rule.allowed))
    names = " and ".join(key.name for key in rule.keys)
    if rule.allowed:
        if target.codes:
            what = clause(target, codes)
        else:
            low, high = (number_in_words(x, target.date) for x in rule.allowed)
            what = f"{target.name} is {low}" if low == high else f"{target.name} is from {low} to {high}"
        if rule.value is None:
            return what
        where = clause(rule.keys[0], [rule.value])
        return f"at{where[5:]}, {what}" if where.startswith("it is ") else f"where {where}, {what}"
    verb = "decide" if len(rule.keys) > 1 else "decides"
    if rule.decides:
        return f"{names} {verb} {target.name}"
    return f"{names} {verb} {f'which values {target.name} has' if target.codes else f'the range of {target.name}'}"


def clause(column: DerivedColumn, codes: Sequence[int]) -> str:
    """That a column has one of some values, in words.

    Examples:
        >>> both = DerivedColumn("how a compares with b", frozenset(), (), ("",) * 2, ("a < b", "a = b"))
        >>> clause(both, [0, 1]), clause(DerivedColumn("kind", frozenset(), (), ("x", "y")), [0, 1])
        ('a ≤ b', 'kind is x or y')
    """
    if column.clauses:
        texts = [column.clauses[code] for code in codes]
        return _merged(*texts) if len(texts) == 2 else " or ".join(texts)
    labels = [column.labels[code] for code in codes]
    if len(labels) > MAX_VALUES_LISTED:
        return f"{column.name} is one of the {len(labels)} values of training"
    return f"{column.name} is " + (f"{', '.join(labels[:-1])} or {labels[-1]}" if len(labels) > 1 else labels[0])


_MERGED = {
    ("<", "="): "≤", ("=", ">"): "≥", ("<", ">"): "≠",
    ("falls", "stays"): "never rises", ("stays", "rises"): "never falls", ("falls", "rises"): "never stays",
}  # fmt: skip


def _merged(one: str, other: str) -> str:
    for (first, second), both in _MERGED.items():
        if one.replace(f" {first} ", f" {second} ", 1) == other:
            return one.replace(f" {first} ", f" {both} ", 1)
    return f"{one} or {other}"


def _example(rule: DataRule, comparison: Comparison, generated: SampleSet) -> str:
    """The first generated record that breaks the rule, in the columns that the rule is about."""
    at = int(np.flatnonzero(rule.broken[2])[0])
    row = int(rule.table.records[2].owner[at])
    (name, *_) = (*generated.symbols, "")
    if comparison.kinds.get(name) == "text":
        start, end = generated.offsets[row : row + 2]
        return "".join(
            chr(generated.names[name][code]) for code in generated.symbols[name][start:end][:MAX_CHARACTERS_SHOWN]
        )
    sources = sorted({source for column in (*rule.keys, rule.target) for source in column.sources}, key=_order)
    if rule.table.per == WHOLE_SEQUENCE:
        words = [f"{rule.target.name} {rule.target.numbers[2][at]:g}"]
        return ", ".join(
            [*words, *(_value(comparison, generated, *one[:2], row) for one in sources if one[0] == INPUT)]
        )
    step = int(generated.position[at])
    words = []
    for place, name, lag in sources:
        if place == INPUT:
            words.append(_value(comparison, generated, place, name, row))
        elif place == STEP and step >= lag:
            words.append(("before: " if lag else "") + _value(comparison, generated, place, name, at - lag))
    known = _in_training(rule, at)
    return f"step {step + 1} of {generated.lengths[row]}: {', '.join(words)}" + (
        f" (training: {known})" if known else ""
    )


def _order(source: ValueSource) -> tuple[bool, int, str]:
    """Columns of the step, those of the step before, inputs."""
    place, name, lag = source
    return place == INPUT, lag, name


def _in_training(rule: DataRule, at: int) -> str:
    """The values that training has where the keys are those of a generated record; none if they are many."""
    if not rule.keys or rule.value is not None or not rule.target.codes or rule.target.clauses:
        return ""
    same = rule.target.codes[0] >= 0
    for key in rule.keys:
        same = same & (key.codes[0] == key.codes[2][at])
    values = np.unique(rule.target.codes[0][same])
    if not 0 < len(values) <= MAX_VALUES_LISTED:
        return ""
    return " or ".join(rule.target.labels[value] for value in values)


def _value(comparison: Comparison, generated: SampleSet, place: str, name: str, at: int) -> str:
    """A column's name and its value in a step, or in the input of a sequence."""
    of_input = place == INPUT
    symbols = generated.names.get(f"input {name}" if of_input else name)
    if symbols is not None:
        code = int((generated.inputs if of_input else generated.symbols)[name][at])
        return f"{name} {symbols[code] if code != ABSENT else MISSING_WORD}"
    number = float(np.ravel((generated.inputs if of_input else generated.numbers)[name][at])[0])
    kind = None if of_input else comparison.kinds.get(name)
    if kind == "flag" and not np.isnan(number):
        return f"{name} {comparison.in_words(name, number)}"
    return f"{name} {number_in_words(number, kind == 'date')}"
