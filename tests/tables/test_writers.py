"""CSV that a spreadsheet opens: texts that look like formulas stay texts, if the caller asks for that."""

import csv
import io

import pytest

from unspool.errors import DataError, OptionError
from unspool.tables.writers import save_parts

TEXTS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", "a=b", '=HYPERLINK("http://x")', "", None]
TYPES = {"=name": "text", "number": "float", "list": ("text",)}


def written(form="csv", **options):
    stream = io.BytesIO()
    columns = {"=name": TEXTS, "number": [-1.5] * len(TEXTS), "list": [["=1"]] * len(TEXTS)}
    save_parts([columns], lambda: TYPES, stream, form, **options)
    text = io.StringIO(stream.getvalue().decode(), newline="")
    return list(csv.reader(text, delimiter="\t" if form == "tsv" else ","))


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_texts_that_begin_like_formulas_get_an_apostrophe(form):
    head, *rows = written(form, escape_formulas=True)
    assert head == ["'=name", "number", "list"]
    assert [row[0] for row in rows] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "plain", "a=b", "'=HYPERLINK(\"http://x\")", "", "",
    ]  # fmt: skip
    assert {row[1] for row in rows} == {"-1.5"}  # a number is no text
    assert {row[2] for row in rows} == {'["=1"]'}


def test_by_default_the_values_are_as_they_are():
    head, *rows = written()
    assert head[0] == "=name"
    assert [row[0] for row in rows] == [text or "" for text in TEXTS]


def test_only_formats_that_spreadsheets_run_take_the_option():
    with pytest.raises(DataError, match=r"escape_formulas: expected csv or tsv.*found jsonl"):
        written("jsonl", escape_formulas=True)
    with pytest.raises(OptionError, match=r"escape_formulas='yes': expected True or False, found str"):
        written(escape_formulas="yes")
