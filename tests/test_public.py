"""`import unspool` is light, and offers exactly the names that it lists."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unspool
from unspool import errors
from unspool.config import Summary
from unspool.evaluation.document import Section
from unspool.report.report import Figures

HEAVY = {
    "arch", "beartype", "equinox", "jax", "jaxlib", "jaxtyping", "matplotlib", "msgspec", "narwhals", "numpy", "onnx",
    "onnxruntime", "optax", "pandas", "polars", "pyarrow", "rich", "safetensors", "scipy", "sklearn", "torch",
}  # fmt: skip


def imported_by(*arguments):
    """The top-level modules in memory after `python ARGUMENTS`, which must succeed."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def test_listed_names_are_sorted_and_distinct():
    assert unspool.__all__ == sorted(set(unspool.__all__))


def test_listed_names_are_the_ones_type_checkers_see():
    tree = ast.parse(Path(unspool.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert seen == set(unspool.__all__)
    homes = {alias.name: node.module for node in block.body for alias in node.names if node.module != "unspool"}
    assert homes == unspool._HOME


@pytest.mark.parametrize("name", unspool.__all__)
def test_every_listed_name_resolves(name):
    assert getattr(unspool, name) is not None
    assert name in dir(unspool)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'TwoToMany'"):
        _ = unspool.TwoToMany


def test_every_error_is_a_kind_of_unspool_error():
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert kinds
    assert all(issubclass(kind, errors.UnspoolError) for kind in kinds)


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("import unspool; dir(unspool)", set()),
        ("import unspool; unspool.errors.UnspoolError", set()),
        # The command line itself needs these two.
        ("import sys; sys.argv = ['', '--help']; from unspool.cli.app import main; main()", {"rich", "msgspec"}),
    ],
)
def test_unspool_its_errors_and_the_help_import_nothing_heavy(program, allowed):
    assert not imported_by("-c", program) & (HEAVY - allowed)


OLD_NAMES = [
    (lambda: errors.DataError("a", "b", "c").place, "'location'"),
    (lambda: errors.DataError("a", "b", "c").cure, "'hint'"),
    (lambda: Section("lengths", "?", ".").made, "'available'"),
    (lambda: Summary(*[0.0] * 11).heldout, "'validation'"),
    (lambda: Summary(*[0.0] * 11).heldout_steps, "'validation_steps'"),
]


@pytest.mark.parametrize(("read", "new"), OLD_NAMES)
def test_an_attribute_of_version_0_1_names_that_of_today(read, new):
    with pytest.raises(AttributeError, match=f"Since version 0.2.0 it is {new}"):
        read()


def test_a_missing_attribute_is_no_mystery():
    with pytest.raises(AttributeError, match=r"'DataError' object has no attribute 'plaice'$"):
        _ = errors.DataError("a", "b", "c").plaice


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nats.rival_nats", "likelihood.baseline_nats"),
        ("paths.CRPS x, of the best rival's", "forecasts.CRPS x, relative to the best baseline"),
        ("marginals.apart x", "marginals.distance x"),
        ("returns.r, drawdowns apart", "returns.r, distance of drawdowns"),
    ],
)
def test_a_figure_of_version_0_1_names_that_of_today(old, new):
    figures = Figures({new: 1.0})
    assert figures[new] == 1.0
    with pytest.raises(KeyError, match=re.escape(f"{new}")):
        _ = figures[old]
    with pytest.raises(KeyError, match=r"^'nothing'$"):
        _ = figures["nothing"]
