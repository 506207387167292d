"""What a notebook shows of a model and of its sequences, as a browser sees it."""

import pytest

import unspool as us

TEXTS = """
    const text = row => [...row.cells].map(cell => cell.innerText);
    return [...document.querySelectorAll("table")].map(table => [...table.rows].map(text));
"""
"""The rows of all tables."""


def test_a_fitted_model_shows_its_fields_size_nats_and_an_example(workshop, browser):
    model = us.load(workshop.names)
    card, fields, example = browser(f"<body>{model._repr_html_()}", TEXTS)
    facts = dict(card)
    summary = model.summary_
    assert facts["size"] == f"1 layer of 8 hidden units, {summary.weights:,} weights"
    assert f"{summary.nats:.3f} validation nats per step; {summary.baseline:.3f} of the simplest" in facts["nats"]
    assert [row[:3] for row in fields] == [
        ["", "field", "kind"], ["input", "country", "Category"], ["step", "name", "Text"],
    ]  # fmt: skip
    (shown,) = model.sample(1, seed=0)
    assert example[0][1] == shown
    assert model._repr_html_() is model._repr_html_()


def test_the_baseline_is_that_of_the_report(workshop):
    """Independent steps, fitted to the training sequences and judged on the validation sequences of the fit."""
    model = us.load(workshop.names)
    report = model.evaluate(str(workshop.folder / "names.csv"), samples=1)
    rows = {name: nats.value for name, nats, *_ in report.section("likelihood").parts[0].rows}
    assert model.summary_.baseline == pytest.approx(rows["independent steps"], rel=1e-9)


def test_a_model_without_a_fit_shows_its_arguments(browser):
    page = us.OneToMany("<b>", "name")._repr_html_()
    assert browser(page, "return document.body.innerText") == "OneToMany(inputs='<b>', sequence='name', seed=0)"


def test_records_are_a_table_of_steps(workshop, browser):
    made = us.load(workshop.tracks).generate({"group": ["a", "b"], "level": [1.0, 2.0]}, n=3, length=10, seed=0)
    (rows,) = browser(made._repr_html_(), TEXTS)
    assert rows[0] == ["", "step", "level", "mood"]
    assert [row[1] for row in rows[1:10]] == [*"12345678", "..."]
    assert rows[9][2] == "2 more steps"
    assert rows[1][0] == "group a, level 1"
    assert rows[1][3] == made[0][0]["mood"]
    assert float(rows[1][2]) == pytest.approx(made[0][0]["level"], rel=1e-3)
    assert rows[-1][0] == "2 more sequences"
    assert [row[0] for row in rows[1:-1] if row[0]] == ["group a, level 1"] * 2 + ["group b, level 2"] * 2
