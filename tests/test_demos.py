"""The demonstrations run to their end, and the model beats the baselines."""

import re

import pytest

from unspool.demos.runner import run_demo
from unspool.errors import OptionError


def held_out_nats(printed: str) -> dict[str, float]:
    """The table of held-out nats, by the name of each row."""
    rows = re.findall(r"^  (\S.*?)  +(-?\d+\.\d{3})\b", printed, re.MULTILINE)
    return {name.strip(): float(nats) for name, nats in rows}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colours", "returns"])
def test_a_demonstration_beats_the_baselines_and_uses_its_input(name, tmp_path, capsys):
    run_demo(name, tmp_path)
    rows = held_out_nats(capsys.readouterr().out)
    model = rows.pop("this model")
    assert "this model, inputs shuffled" in rows
    assert len(rows) >= 4
    # GARCH reads every day before, the model one state in 20 days, so it need not beat GARCH.
    assert all(model < nats for row, nats in rows.items() if "GARCH" not in row)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.png", f"{name}.unspool"]


def test_an_unknown_demonstration_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(OptionError, match="names, colours, returns"):
        run_demo("nmaes", tmp_path)
    assert not list(tmp_path.iterdir())
