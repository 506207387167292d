"""Messages for people: any text can be in them, and none steers a terminal or fills it."""

import pickle
from pathlib import Path

import pytest

from unspool.errors import DataError, Location, OptionError, UnspoolError, path_text, readable

ESCAPES = ["\x1b[31m", "\x9b31m", "\x07", "\x00", "\r", "\u202e", "\u2028", "\ud800", "\x7f"]


@pytest.mark.parametrize("code", ESCAPES)
def test_characters_that_steer_a_terminal_are_escaped(code):
    assert readable(f"a{code}b") == f"a\\u{ord(code[0]):04x}{code[1:]}b"


def test_other_characters_stay_as_they_are():
    text = "Ásta, 日本, 🧵, عربى\n\tindented"
    assert readable(text) == text


@pytest.mark.parametrize("code", ESCAPES)
def test_no_error_hands_them_on(code):
    """Neither raw in a path, nor in a list of names."""
    error = DataError(f"x{code}.csv", f"one of {code}, b", code, f"Rename {code}.")
    for text in (str(error), error.location, error.expected, error.found, error.hint):
        assert code[0] not in text
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # our own bytes


def test_a_name_of_five_million_characters_is_shortened():
    name = "x" * 5_000_000
    error = UnspoolError(Location("data.csv", name).at(3), "a number", repr(name), f"Pass Category({name!r}).")
    assert "data.csv: row 4, column 'xxx" in str(error)
    assert "(5,000,0" in str(error)
    assert len(str(error)) < 2_500


def test_lines_of_a_list_of_errors_stay_whole():
    found = "20 differences:\n" + "\n".join(f"  column {k}: expected a number, found text" for k in range(100))
    assert UnspoolError("x.csv", "what the model was fitted to", found).found == found


@pytest.mark.parametrize("path", [None, 5, b"model", "a\0b", ["x"]])
def test_what_is_no_path_is_refused_by_its_argument(path):
    with pytest.raises(OptionError, match=r"^path=.*expected a path without NUL characters, found \w+\. Pass path="):
        path_text("path", path)
    assert path_text("path", Path("a") / "b") == str(Path("a/b"))
