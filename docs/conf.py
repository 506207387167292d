"""The settings of Sphinx, which `make docs` runs.

Sphinx reads the documents from the root of the repository, so that each relative link between them works as it stands.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import explained_page
import source_pages
import unspool

project, release = "Unspool", unspool.__version__
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "examples/*.md"]
exclude_patterns = [".*", "build", "src", "tests", "benchmarks"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.linkcode", "sphinx.ext.napoleon"]
extensions += ["source_pages", "explained_page"]

# Docstrings write code between single backticks, as Markdown does. Names that are in the reference become links.
default_role = "py:obj"
# No inventory of another project is fetched, so their names are plain text, and so is code that is no name.
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*"), ("py:.*", r"(?!unspool\.).*")]
# Fitted columns, tables as they are read, and what windows hold: a program hands them on, and looks into none of them.
RELATIONS = ("AtMost", "Equal", "Sum", "Running", "MissingWith")
OPAQUE = (
    "config.Config",
    "encoding.codec.Codec",
    "network.decoder.Net",
    *(f"schema.relations.{name}" for name in RELATIONS),
    "tables.table.Table",
    "dataset.layouts.RawExamples",
    "dataset.roles.Roles",
)
nitpick_ignore = [("py:class", f"unspool.{name}") for name in OPAQUE]

myst_heading_anchors = 3
SCHEMES = [module.SCHEME.removesuffix(":") for module in (source_pages, explained_page)]
myst_url_schemes = ["http", "https", "mailto", *SCHEMES]
linkcode_resolve = source_pages.linkcode_resolve
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "Unspool"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

CONTENTS = """

```{toctree}
:hidden:
:caption: Learn

docs/guide
docs/how-it-works
docs/scale
examples/README
```

```{toctree}
:hidden:
:caption: Reference

docs/api
docs/report
docs/format
CHANGELOG
```

```{toctree}
:hidden:
:caption: Inside

docs/architecture
docs/benchmarks
docs/results
docs/log
CONTRIBUTING
```
"""
"""What the side bar lists. Only Sphinx understands it, so it joins the README here and not in the file."""


def add_contents(_: Sphinx, name: str, source: list[str]) -> None:
    """Give the README the table of contents."""
    if name == root_doc:
        source[0] += CONTENTS


def copy_index(app: Sphinx, error: Exception | None) -> None:
    """The README is the first page: give it the name that a server looks for, too."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", copy_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
