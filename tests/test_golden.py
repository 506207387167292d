"""Model files of every past format version load for ever. They are never rewritten; a new version adds a file."""

from pathlib import Path

import numpy as np
import pytest

import unspool as us
from unspool.modelfile import FORMAT_VERSION

FILES = sorted(Path(__file__).with_name("golden").glob("format-*.unspool"))
EXPECTED: dict[str, object] = {
    "letters": "uoiea",
    "levels": [0.8600647764921312, None],
    "log_prob": [-5.407321605460029, -4.876115712897163],
}
INPUTS = {"kind": ["up", "down"], "size": [3.0, None]}


def test_there_is_a_file_of_every_format_version() -> None:
    assert [path.name for path in FILES] == [f"format-{version}.unspool" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_old_file_gives_what_it_gave_when_it_was_written(path: Path) -> None:
    model = us.load(path)
    made = model.generate(INPUTS, n=3, seed=11)
    assert "".join(step["letter"] for step in made[2]) == EXPECTED["letters"]
    levels = np.array([step["level"] for step in made[0]], float)
    assert np.allclose(levels, np.array(EXPECTED["levels"], float), rtol=1e-4, equal_nan=True)
    table = {**INPUTS, "letter": [["a", "e"], ["u"]], "level": [[1.0, None], [2.0]]}
    assert np.allclose(model.log_prob(table), EXPECTED["log_prob"], rtol=1e-4)
