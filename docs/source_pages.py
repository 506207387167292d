"""A Sphinx extension: the site shows the source files that its documents link to, line by line.

A document links to a line of a file as in `[text](../src/unspool/options.py#L70)`, which hosts of repositories
understand. Here such a link gets the scheme `source:`, and so do the links from the reference to the code. When all
documents are read, each file that one of them links to becomes a page, and the links are made relative to it.
"""

import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
SCHEME = "source:"
LINK = re.compile(r"\]\((?P<path>[^():\s]+\.py)(?=[#)\s])")


def mark_links(_: Sphinx, name: str, source: list[str]) -> None:
    """Give the links of a document to source files our scheme, and paths from the root of the repository."""
    folder = (ROOT / name).parent
    path_of = lambda match: Path(os.path.normpath(folder / match["path"])).relative_to(ROOT).as_posix()  # noqa: E731
    source[0] = LINK.sub(lambda match: f"]({SCHEME}{path_of(match)}", source[0])


def linkcode_resolve(_: str, info: dict[str, str]) -> str | None:
    """Where the code of a name in the reference stands, for `sphinx.ext.linkcode`."""
    found: Any = sys.modules.get(info["module"])
    for part in info["fullname"].split("."):
        found = getattr(found, part, None)
    found = found.fget if isinstance(found, property) else found
    try:
        path, line = inspect.getsourcefile(found), inspect.getsourcelines(found)[1]
    except (TypeError, OSError):  # neither a class nor a function
        return None
    return f"{SCHEME}{Path(str(path)).relative_to(ROOT).as_posix()}#L{line}"


def note_files(app: Sphinx, tree: nodes.document) -> None:
    """Remember which files a document links to."""
    links = (str(node.get("refuri", "")) for node in tree.findall(nodes.reference))
    files = {uri.removeprefix(SCHEME).partition("#")[0] for uri in links if uri.startswith(SCHEME)}
    app.env.metadata[app.env.current_document.docname]["source_files"] = "\n".join(sorted(files))


def resolve_links(app: Sphinx, tree: nodes.document, name: str) -> None:
    """Lead the links to the pages."""
    for node in tree.findall(nodes.reference):
        if str(node.get("refuri", "")).startswith(SCHEME):
            path, _, line = node["refuri"].removeprefix(SCHEME).partition("#L")
            anchor = f"#L-{line}" if line else ""  # as Pygments names lines
            node["refuri"] = app.builder.get_relative_uri(name, path) + anchor


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The pages: name, what the template is filled with, template."""
    files = {path for data in app.env.metadata.values() for path in data.get("source_files", "").splitlines()}
    lines = HtmlFormatter(linenos="inline", linespans="L")
    for path in sorted(files):
        code = highlight((ROOT / path).read_text("utf-8"), PythonLexer(), lines)
        yield path, {"title": path, "body": f"<h1>{path}</h1>\n{code}"}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.connect("source-read", mark_links)
    app.connect("doctree-read", note_files)
    app.connect("doctree-resolved", resolve_links)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
