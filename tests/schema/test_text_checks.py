"""Text that is no category is refused, with its kind, its location, and a hint."""

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.errors import SchemaError
from unspool.schema.fields import Category, When

X = [[1, 2, 1], [2, 1]]


def asked(days, **options):
    count = len(days)
    return gather({"day": days, "x": (X * count)[:count]}, inputs=options.get("inputs", "day"), sequence="x")


def words(count):
    return [f"the patient said for the {k}th time that it hurts" for k in range(count)]


def test_dates_written_in_three_ways_are_all_shown_with_their_rows():
    with pytest.raises(SchemaError) as caught:
        asked(["2024-01-31", "01/02/2024", "Feb 2, 2024", "2024-02-03"])
    message = str(caught.value)
    assert message.startswith("the data: column 'day': expected dates that are written in one way, that of ISO 8601")
    assert "found 3 ways: '2024-01-31' in row 1, '01/02/2024' in row 2, 'Feb 2, 2024' in row 3. " in message
    assert "YYYY-MM-DD" in message
    assert "Category('day')" in message


OTHER = [
    ["31/01/2024", "01/02/2024", "02/02/2024"],
    ["31.01.2024", "01.02.2024", "02.02.2024 10:15"],
    ["2024/01/31", "2024/02/01", "2024/02/02"],
    ["1/31/24 5:30 pm", "2/1/24 5:30 pm", "2/2/24 5:30 pm"],
    ["31 January 2024", "1 Feb. 2024", "2nd March 2024"],
    ["2024-01-31T10:00:00", "2024-02-01T10:00:00Z", "2024-02-02T10:00:00"],
]


@pytest.mark.parametrize("days", OTHER)
def test_dates_that_may_be_misread_are_refused_in_inputs_and_in_steps(days):
    with pytest.raises(SchemaError, match="column 'day': expected dates"):
        asked(days)
    steps = [{"day": day, "x": n} for n, day in enumerate(days)]
    with pytest.raises(SchemaError, match="row 1, step 1"):
        gather({"k": ["a", "b"], "s": [steps] * 2}, inputs="k", sequence="s")


def test_a_date_that_is_none_is_named_among_those_that_are():
    days = [f"2024-01-{day:02d}" for day in range(1, 30)]
    for odd in ("unknown", "2024-02-31"):
        with pytest.raises(SchemaError, match=rf"row 6, column 'day': expected a date, like .*, found '{odd}'"):
            asked([*days[:5], odd, *days[5:]])


ALL_FINE = [
    ["2024-01-31", "2024-02-01", "2024-02-02"],
    ["3.10.12", "3.11.04", "3.12.01", "3.9.18"],
    ["1/2", "1/3", "2/3"],
    ["may 1", "june", "31/01/2024"],
    ["q1-2024", "q2-2024", "q3-2024"],
]


@pytest.mark.parametrize("days", ALL_FINE)
def test_dates_in_order_and_what_only_looks_like_dates_pass(days):
    schema, _ = asked(days * 2)
    assert isinstance(schema.inputs[0], When if days is ALL_FINE[0] else Category)


def test_ten_thousand_texts_are_no_categories_but_may_be_if_asked_for():
    many = words(10_000)
    expected = "column 'day': expected categories that come again and again, found 10,000 different texts among 10,000"
    with pytest.raises(
        SchemaError, match=rf"{expected}, such as 'the .* for the 0th time tha...'. Text can't be an input"
    ):
        asked(many)
    schema, _ = asked(many, inputs=Category("day"))
    assert isinstance(schema.inputs[0], Category)


def test_a_note_in_every_step_is_no_category_and_a_large_vocabulary_is():
    notes = words(1_200)
    steps = [
        [{"note": one, "x": n % 3}, {"note": two, "x": n % 2}]
        for n, (one, two) in enumerate(zip(notes[::2], notes[1::2], strict=True))
    ]
    with pytest.raises(SchemaError, match="Text can't be one field of a step"):
        gather({"k": ["a", "b"] * 300, "s": steps}, inputs="k", sequence="s")
    rng = np.random.default_rng(0)
    tokens = [[f"w{rank}" for rank in rng.zipf(1.3, 20).clip(max=5000)] for _ in range(600)]
    schema, _ = gather({"k": ["a", "b"] * 300, "s": tokens}, inputs="k", sequence="s")
    assert isinstance(schema.steps[0], Category)
