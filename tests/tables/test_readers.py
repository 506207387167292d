"""Text files as people have them: quotes that don't close, other delimiters, decimal commas, spreadsheets."""

import io

import pytest

from unspool.errors import DataError
from unspool.tables.columns import to_list
from unspool.tables.table import read_table


def read(text: str) -> dict:
    return {name: to_list(column) for name, column in read_table(io.BytesIO(text.encode())).columns.items()}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('k,x\na,b\nc,"d\ne,f\n', 3),
        ('k,x\na,"b\nc,"d"\n', 2),
        ('k,x\r\na,"b\r\nc,d\r\n', 2),
        ('k;x\na;"b\nc;d\n', 2),
        ('"k,x\na,b\n', 1),
        ('k,x\na,"b ""q"" \nc\nd,e\n', 2),
    ],
)
def test_a_quote_that_swallows_lines_is_refused_where_it_opens(text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"line {line}: expected a quote that closes in its cell, found \"") as caught:
        read(text)
    assert "Close it" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('k,x\na,"b\nc"\ne,"f ""q"" r"\n', {"k": ["a", "e"], "x": ["b\nc", 'f "q" r']}),
        ('k,x\na,5" pipe\nc,"d"', {"k": ["a", "c"], "x": ['5" pipe', "d"]}),
        ('k,x\r\na,"b,c"\r\nd,""\r\n', {"k": ["a", "d"], "x": ["b,c", None]}),
    ],
)
def test_quotes_that_close_are_read(text: str, columns: dict) -> None:
    assert read(text) == columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("k;x\na;0.5\nb;1.5\n", {"k": ["a", "b"], "x": [0.5, 1.5]}),
        ("k;x\na;0,5\nb;-1,5\n", {"k": ["a", "b"], "x": [0.5, -1.5]}),
        ("k\tx\na\t0.5\n", {"k": ["a"], "x": [0.5]}),
        ("k|x\na|0.5\n", {"k": ["a"], "x": [0.5]}),
        ('"k";"x"\n"a;b";"5,1 m"\n', {"k": ["a;b"], "x": ["5,1 m"]}),
        ("text\na;b\n", {"text": ["a;b"]}),
        ("k;x,y\na;b,3\n", {"k;x": ["a;b"], "y": [3]}),
    ],
)
def test_the_delimiter_is_that_of_the_first_two_lines(text: str, columns: dict) -> None:
    assert read(text) == columns


@pytest.mark.parametrize("name", ["x.xlsx", "x.xls", "x.ods"])
def test_a_spreadsheet_is_answered_with_a_cure(name: str) -> None:
    with pytest.raises(DataError, match=r"found '.*'. Save the sheet as CSV; in Python .*pandas.read_excel"):
        read_table(name)
