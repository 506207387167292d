"""The demonstrations run to their end, and the model is better than what they hold against it."""

import re

import pytest

from unspool import demos
from unspool.errors import OptionError


def figures(printed: str) -> dict[str, float]:
    """The table of held-out nats, by the name of each row."""
    return {
        name.strip(): float(nats) for name, nats in re.findall(r"^  (\S.*?)  +(-?\d+\.\d{3})\b", printed, re.MULTILINE)
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rival"), [("colours", r"interpolated \d-gram"), ("returns", "constant Student's t")])
def test_a_demonstration_beats_its_simplest_rival_and_uses_its_input(name, rival, tmp_path, capsys):
    demos.run(name, tmp_path)
    rows = figures(capsys.readouterr().out)
    ours = rows["this model"]
    assert ours < next(nats for row, nats in rows.items() if re.fullmatch(rival, row))
    assert ours < next(nats for row, nats in rows.items() if row.endswith("shuffled"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.png", f"{name}.unspool"]


def test_an_unknown_demonstration_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(OptionError, match="names, colours, returns"):
        demos.run("nmaes", tmp_path)
    assert not list(tmp_path.iterdir())
