"""A wrong argument is refused at the door: the error names it, and says what was expected and found."""

import datetime as dt
import io
from pathlib import Path

import pytest

import unspool as us
from unspool.errors import OptionError, UnspoolError

WRONG = (
    "3", 1.5, -1, 10**30, float("nan"), "", b"x", [], {}, object(), ["x", 1], {"x": object()}, lambda: 0, "\ud800",
    True,
)  # fmt: skip
GOLDEN = Path(__file__).with_name("golden") / "format-2.unspool"
INPUT = {"kind": "up", "size": 3.0}
ROWS = {"kind": ["up"], "size": [3.0], "letter": [["a"]], "level": [[1.0]]}


@pytest.fixture(scope="session")
def model():
    return us.load(GOLDEN)


CALLS = {
    "n": lambda model, value: model.generate(INPUT, value, length=1),
    "length": lambda model, value: model.generate(INPUT, length=value),
    "seed": lambda model, value: model.generate(INPUT, seed=value, length=1),
    "rule": lambda model, value: model.generate(INPUT, rule=value, length=1),
    "prefix": lambda model, value: model.generate(INPUT, prefix=value, length=1),
    "pin": lambda model, value: model.generate(INPUT, pin=value, length=1),
    "pin of a step": lambda model, value: model.generate(INPUT, pin={value if hash_of(value) else 0: value}, length=1),
    "allow": lambda model, value: model.generate(INPUT, allow=value, length=1),
    "allow of a column": lambda model, value: model.generate(INPUT, allow={"letter": value}, length=1),
    "inputs": lambda model, value: model.generate(value, length=1),
    "input": lambda model, value: model.generate(INPUT | {"kind": value}, length=1),
    "target": lambda model, value: model.generate_to(value if not isinstance(value, str) else None, INPUT, length=1),
    "format": lambda model, value: model.generate_to(io.BytesIO(), INPUT, length=1, format=value or 5),
    "long": lambda model, value: model.generate_to(io.BytesIO(), INPUT, length=1, long=value),
    "escape_formulas": lambda model, value: model.generate_to(io.BytesIO(), INPUT, length=1, escape_formulas=value),
    "sample": lambda model, value: model.sample(value, length=1),
    "data": lambda model, value: model.log_prob(value),
    "steps": lambda model, value: model.log_prob(ROWS, value),
    "values": lambda model, value: model.log_prob(ROWS | {"letter": [value]}),
    "evaluate": lambda model, value: model.evaluate(value),
    "evaluate seed": lambda model, value: model.evaluate(ROWS, seed=value),
    "evaluate samples": lambda model, value: model.evaluate(ROWS, samples=value),
    "evaluate train": lambda model, value: model.evaluate(ROWS, train=value),
    "load": lambda _, value: us.load(value),
    "save": lambda model, value: model.save(value if not isinstance(value, str) else None),
    "fit": lambda _, value: us.OneToMany("a", "b", verbose=False).fit(value),
    "fit inputs": lambda _, value: us.OneToMany(value, "b", verbose=False).fit({"a": [1], "b": [[1]]}),
    "fit sequence": lambda _, value: us.OneToMany("a", value, verbose=False).fit({"a": [1], "b": [[1]]}),
    "fit id": lambda _, value: us.OneToMany("a", "b", verbose=False).fit({"a": [1], "b": [1]}, id=value or 5),
    "fit order": lambda _, value: us.OneToMany("a", "b", verbose=False).fit(
        {"a": [1], "b": [1]}, id="a", order=value or 5
    ),
    "fit checkpoint": lambda _, value: refused_path(value),
    "fit seed": lambda _, value: us.OneToMany("a", "b", seed=value, verbose=False).fit({"a": [1], "b": [[1]]}),
    "network": lambda _, value: us.OneToMany("a", "b", network=value or 5, verbose=False).fit({"a": [1], "b": [[1]]}),
    "combinations": lambda _, value: us.OneToMany("a", "b", combinations=value, verbose=False).fit({"a": [1]}),
    "verbose": lambda _, value: us.OneToMany("a", "b", verbose=value if value is not True else 2).fit({"a": [1]}),
}


def hash_of(value):
    return type(value).__hash__ is not None


def refused_path(value):
    if not isinstance(value, str):
        us.OneToMany("a", "b", verbose=False).fit({"a": [1], "b": [[1]]}, checkpoint=value)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_raises_an_error_of_ours_or_is_taken(model, name):
    """No conversion of another library's, and no error without a place."""
    for value in WRONG:
        try:
            CALLS[name](model, value)
        except UnspoolError as error:
            str(error).encode()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda model: model.generate(INPUT, n="3"), "^n='3': expected a whole number, at least 1, found '3'"),
        (lambda model: model.generate(INPUT, seed=1.5), r"^seed=1\.5: expected a whole number, at least 0, found 1\.5"),
        (lambda model: model.generate(INPUT, rule=5), r"^rule: expected Sampling.*found 5"),
        (lambda model: model.save(None), r"^path=None: expected a path.*found NoneType"),
        (lambda _: us.load(None), r"^path=None: expected a path.*found NoneType"),
        (lambda model: model.generate_to(None, INPUT), r"^target=None: expected a path or an open stream"),
        (
            lambda model: model.generate(INPUT).save(io.BytesIO(), long="yes"),
            r"^long='yes': expected True, False or None",
        ),
        (lambda model: model.evaluate({}, samples="x"), r"^evaluate\(samples='x'\): expected a whole number"),
        (lambda _: us.OneToMany("a", "b").fit({}, id=dt.date(2024, 1, 1)), "^fit: id=.*the name of a column"),
        (lambda _: us.OneToMany("a", "b").fit({}, checkpoint=5), "^checkpoint=5: expected a path"),
        (lambda _: us.OneToMany("a", "b", verbose="yes").fit({}), "^OneToMany: verbose='yes': expected True"),
    ],
)
def test_the_error_names_the_argument(model, call, match):
    with pytest.raises(OptionError, match=match):
        call(model)
