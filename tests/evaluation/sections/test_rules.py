"""Rules that hold in made tables, and generated sequences that keep or break them."""

import re
from dataclasses import replace

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.evaluation.samples.build import comparison_of
from unspool.evaluation.sections.rules import rules
from unspool.evaluation.verdict import judge
from unspool.report.html import as_table
from unspool.report.text import table_lines
from unspool.schema.fields import Category, Count, Flags, Number, When

PRICES = {"pen": 1.5, "ink": 4.25, "pad": 6.0, "bag": 30.0, "cup": 8.75, "hat": 12.5}
STEPS = [
    Category("status"), Category("product"), Category("last"), Number("price"), When("day"), Number("low"),
    Number("high"), Number("amount"), Number("balance"), Number("rating"), Number("rent"), Number("food"),
    Number("rest"),
]  # fmt: skip
SHARE = 0.2
"""Of sequences that break a rule, where one is broken."""


def orders(seed, count, breaks=""):
    """Sequences in which much is certain; one of these things is not in a fifth of the sequences, if it is named."""
    rng = np.random.default_rng(seed)
    rows = {name: [] for name in ("id", "plan", "term", *(field.name for field in STEPS))}
    names = list(PRICES)
    for k in range(count):
        bad = breaks if rng.random() < SHARE else ""
        plan, term = str(rng.choice(["basic", "pro"])), int(rng.choice([4, 7, 10]))
        length = term + int(rng.integers(0, 2)) + 4 * (bad == "length")
        balance, last = float(rng.integers(0, 500)), "none"
        month = np.datetime64("2023-01") + rng.integers(0, 24)
        for t in range(length):
            wrong = bad and t == length - 1
            product = names[rng.integers(0, 3 if plan == "basic" else 6)]
            if wrong and bad == "input":
                product = "hat"
            price = PRICES[product]
            status = (
                "open"
                if wrong and bad == "end"
                else "closed"
                if t == length - 1
                else "paid"
                if rng.random() < 0.3
                else "open"
            )
            amount, low = round(float(rng.normal(0, 50)), 2), round(float(rng.normal()), 3)
            day = month.astype("datetime64[D]") + (24 if status == "paid" else int(rng.integers(0, 23)))
            balance = round(balance + amount, 2)
            rent, food = (round(float(x), 1) for x in rng.uniform(10, 40, 2))
            row = {
                "id": k,
                "plan": plan,
                "term": term,
                "status": status,
                "product": product,
                "last": names[(names.index(last) + 1) % 6] if wrong and bad == "copy" else last,
                "price": price + (0.25 if bad == "price" and t == 0 else 0.0),
                "day": day + 1 if bad == "calendar" and status == "paid" else day,
                "low": low,
                "high": low + (-1 if wrong and bad == "order" else 1) * round(float(rng.exponential()) + 0.001, 3),
                "amount": amount,
                "balance": balance + (7.0 if wrong and bad == "sum" else 0.0),
                "rating": np.nan
                if (status == "open") != bool(wrong and bad == "missing")
                else float(rng.integers(1, 6)),
            }
            row |= {"rent": rent, "food": food, "rest": round(100 - rent - food + 3 * (bad == "total"), 1)}
            for name, value in row.items():
                rows[name].append(value)
            last, month = product, month + 1
    rows["day"] = np.array(rows["day"], "datetime64[D]")
    schema, examples = gather(rows, id="id", inputs=["plan", Count("term")], sequence=STEPS)
    return schema, examples


def compared(breaks="", seed=0, sizes=(300, 100)):
    schema, train = orders(seed, sizes[0])
    real = orders(seed + 1, sizes[1])[1]
    synthetic = orders(seed + 2, 10 * sizes[1], breaks)[1]
    return comparison_of(schema, train, real, synthetic, train)


@pytest.fixture(scope="module")
def unbroken():
    return compared()


def test_a_perfect_model_breaks_no_rule(unbroken):
    section = rules(unbroken, 0)
    assert section.figures["broken"] == 0
    assert section.figures["kept by real"] > 30
    (kept,) = section.parts
    assert kept.title == "Rules that generated sequences keep, up to chance"
    assert "product decides price" in [row[0] for row in kept.rows]
    assert all(row[1:] == (0, 0) for row in kept.rows)
    assert judge([section])[0].grade == "good"


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("price", "product decides price"),
        ("end", r"at the last step, status is closed"),
        ("copy", "last is product of the step before"),
        ("calendar", "where status is paid, the day of the month of day is 25"),
        ("order", "low < high"),
        ("sum", "the change of balance = amount"),
        ("total", r"^(rent = 100 − food − rest|food = 100 − rent − rest|rest = 100 − rent − food)$"),
        ("missing", r"rating (has a value|is missing)|status decides whether rating is missing"),
        ("input", r"where plan \(input\) is basic, (product is ink, pad or pen|price is 1.5, 4.25 or 6)"),
        ("length", r"where term \(input\) is \d+, length is from \d+ to \d+"),
    ],
)
def test_what_generated_sequences_break_is_said_in_words_with_its_share(breaks, words):
    section = rules(compared(breaks), 0)
    table, _ = section.parts
    broken = [row for row in table.rows if re.search(words, row[0])]
    assert broken, [row[0] for row in table.rows]
    _, held_out, generated, of_records, example = max(broken, key=lambda row: row[2])
    assert held_out == 0
    assert 0.03 < generated < SHARE + 0.05
    assert 0 < of_records <= 1
    assert example
    assert 0.1 < section.figures["breaking"] < SHARE + 0.05
    (line,) = judge([section])
    assert line.grade == "bad"
    assert "of sequences break a rule that real ones keep, such as: " in line.found


def test_an_example_shows_the_record_and_what_training_has():
    table, _ = rules(compared("price"), 0).parts
    row = next(row for row in table.rows if row[0] == "product decides price")
    found = re.fullmatch(r"step 1 of \d+: price ([\d.]+), product (\w+) \(training: ([\d.]+)\)", row[4])
    price, product, known = found.groups()
    assert float(known) == PRICES[product]
    assert float(price) == PRICES[product] + 0.25


def test_few_rules_are_listed_for_one_fault():
    assert len(rules(compared("end"), 0).parts[0].rows) <= 4
    assert len(rules(compared("sum"), 0).parts[0].rows) <= 2


def test_halves_of_the_same_data_break_no_rule():
    schema, whole = orders(5, 600)
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(600)
        train, real, synthetic = (whole.take(order[part]) for part in (slice(200), slice(200, 400), slice(400, 600)))
        assert rules(comparison_of(schema, train, real, synthetic, train), seed).figures["broken"] == 0


def test_rare_faults_are_no_more_than_chance_allows(unbroken):
    """One broken sequence of a thousand is not one more than four hundred real ones allow."""
    synthetic = unbroken.synthetic
    price = synthetic.numbers["price"].copy()
    price[0] = 99.0
    rare = replace(unbroken, synthetic=replace(synthetic, numbers={**synthetic.numbers, "price": price}))
    assert rules(rare, 0).figures["broken"] == 0


def test_sequences_without_rules_say_so(samples_of, comparison_of_sets):
    few = samples_of(x=[[0.1], [0.5, 0.4], [0.3, 0.9, 0.7]])
    section = rules(comparison_of_sets(few, few), 0)
    assert not section.available
    assert "No rule" in section.verdict


def test_characters_are_letters(comparison_of_sets):
    rng = np.random.default_rng(0)
    words = [["quit", "quay", "tap", "aqua"][k] for k in rng.integers(0, 4, 2400)]
    schema, examples = gather({"k": ["x"] * 2400, "word": words}, inputs="k", sequence="word")
    parts = [examples.take(np.arange(a, b)) for a, b in ((0, 400), (400, 600), (600, 2400))]
    comparison = comparison_of(schema, *parts, parts[0])
    assert rules(comparison, 0).figures["broken"] == 0
    letters = comparison.synthetic.names["word"]
    code = comparison.synthetic.symbols["word"].copy()
    q, a = (letters.index(ord(one)) for one in "qa")
    code[np.flatnonzero(code[:-1] == q)[:300] + 1] = a
    wrong = replace(comparison, synthetic=replace(comparison.synthetic, symbols={"word": code}))
    table, *_ = rules(wrong, 0).parts
    row = next(row for row in table.rows if row[0] == "where the character before is q, the character is u")
    assert row[2] == pytest.approx(300 / 1800, abs=0.01)
    assert "qa" in row[4]


def test_flags_are_yes_or_no_and_huge_numbers_are_names():
    rng = np.random.default_rng(0)

    def visits(count, broken):
        flags = {"ill": rng.random(4 * count) < 0.4}
        flags["fever"] = flags["ill"] & (rng.random(4 * count) < 0.5) | (rng.random(4 * count) < broken)
        code = np.array([10**17 + 1, 10**17 + 2, 10**400], object)
        return {"id": np.repeat(np.arange(count), 4), "code": code[rng.integers(0, 3, 4 * count)].astype(str), **flags}

    steps = [Category("code"), Flags("symptoms", ["ill", "fever"])]
    tables = [visits(count, broken) for count, broken in ((200, 0), (100, 0), (400, 0.1))]
    sets = [gather(table, sequence=steps, id="id") for table in tables]
    comparison = comparison_of(sets[0][0], *(examples for _, examples in sets), sets[0][1])
    names = {**comparison.train.names, "code": [int(one) for one in comparison.train.names["code"]]}
    parts = {name: replace(getattr(comparison, name), names=names) for name in ("train", "real", "synthetic")}
    table, *_ = rules(replace(comparison, **parts), 0).parts
    row = next(row for row in table.rows if row[0] == "where ill is no, fever is no")
    assert re.fullmatch(r"step \d of 4: fever yes, ill no", row[4])


def test_sentences_are_whole_in_the_text_and_on_the_page():
    table, _ = rules(compared("calendar"), 0).parts
    text = " ".join(" ".join(table_lines(table)).split())
    assert "…" not in text
    assert max(map(len, table_lines(table))) < 130
    assert 'class="text prose"' in as_table(table)


def test_the_same_seed_gives_the_same_section(unbroken):
    assert rules(unbroken, 3) == rules(unbroken, 3)
