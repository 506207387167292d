"""docs/how-it-works.md points at the lines that it speaks of, and shows the program that is in `examples/`.

A link's text names the definition, `[network/decoder.py, Net.encode](../src/unspool/network/decoder.py#L188)`, and its
title, if it has one, is a part of the line that is meant within that definition. So the right line number is known:
`python tests/test_how_it_works.py --fix` writes it, and `make format` does so too.
"""

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ARTICLE = ROOT / "docs" / "how-it-works.md"
PROGRAM = ROOT / "examples" / "numpy_lstm.py"
LINK = re.compile(r"\[(?P<label>[^\]]+)\]\((?P<path>[^()\s#]+\.py)(?:#L(?P<line>\d+))?(?: \"(?P<text>[^\"]*)\")?\)")
BLOCK = re.compile(r"(?<=^```py\n)\"\"\"A one-to-many LSTM in NumPy alone.*?(?=^```$)", re.DOTALL | re.MULTILINE)


class Link(NamedTuple):
    """A link to a line of a file."""

    label: str
    path: Path
    line: int | None
    text: str | None

    @classmethod
    def of(cls, match: re.Match[str], folder: Path = ARTICLE.parent) -> "Link":
        path = (folder / match["path"]).resolve()
        return cls(match["label"], path, int(match["line"]) if match["line"] else None, match["text"])

    @property
    def right_line(self) -> int:
        """The line that it should point at."""
        file, _, name = self.label.partition(", ")
        assert self.path.as_posix().endswith(f"/{file}"), f"[{self.label}] leads to {self.path}"
        source = self.path.read_text("utf-8")
        node = definition(ast.parse(source), name)
        assert node, f"[{self.label}]: {file} defines no {name}"
        if self.text is None:
            return node.lineno
        lines = source.splitlines()
        found = [n for n in range(node.lineno, node.end_lineno + 1) if self.text in lines[n - 1]]
        assert len(found) == 1, f"[{self.label}]: {self.text!r} is in {len(found)} lines of {name}, not in one"
        return found[0]


def definition(tree: ast.AST, name: str) -> ast.stmt | None:
    """The class, function or constant of a dotted name; where there are overloads, the last, which has the code."""
    first, _, rest = name.partition(".")
    for node in reversed([*ast.iter_child_nodes(tree)]):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)}
        if first in names:
            return definition(node, rest) if rest else node
    return None


def links() -> list[Link]:
    return [Link.of(match) for match in LINK.finditer(ARTICLE.read_text("utf-8"))]


def fixed(text: str, folder: Path = ARTICLE.parent) -> str:
    """The article with the right line numbers, and the program as it is."""

    def pointed(match: re.Match[str]) -> str:
        title = f' "{match["text"]}"' if match["text"] else ""
        return f"[{match['label']}]({match['path']}#L{Link.of(match, folder).right_line}{title})"

    return BLOCK.sub(lambda _: PROGRAM.read_text("utf-8"), LINK.sub(pointed, text))


@pytest.mark.parametrize("link", links(), ids=lambda link: f"{link.label}, {link.text or 'definition'}")
def test_a_link_points_at_the_line_that_it_names(link: Link) -> None:
    right = link.right_line
    assert link.line == right, f"now line {right}: run python tests/test_how_it_works.py --fix"


def test_the_article_shows_the_program_as_it_is() -> None:
    (shown,) = BLOCK.findall(ARTICLE.read_text("utf-8"))
    assert shown == PROGRAM.read_text("utf-8"), "run python tests/test_how_it_works.py --fix"


def test_the_right_line_follows_the_source_and_a_wrong_one_is_mended(tmp_path) -> None:
    source = tmp_path / "cell.py"
    source.write_text("import a\n\nGATES = 1\n\n\nclass Net:\n    def step(self):\n        return h\n")
    text = '[cell.py, GATES](cell.py#L3) [cell.py, Net.step](cell.py#L7) [cell.py, Net.step](cell.py#L8 "return h")'
    assert fixed(text, tmp_path) == text
    source.write_text('"""One line more."""\n' + source.read_text())
    assert [match["line"] for match in LINK.finditer(fixed(text, tmp_path))] == ["4", "8", "9"]
    with pytest.raises(AssertionError, match=r"defines no Net\.halt"):
        fixed("[cell.py, Net.halt](cell.py#L1)", tmp_path)


if __name__ == "__main__":
    if sys.argv[1:] != ["--fix"]:
        sys.exit(__doc__)
    ARTICLE.write_text(fixed(ARTICLE.read_text("utf-8")), "utf-8")
