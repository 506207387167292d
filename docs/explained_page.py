"""A Sphinx extension: the site has the page that `explain` makes of the model of `unspool demo names`.

`make docs` fits that model once; `UNSPOOL_DEMO_MODEL` names another one. The first picture of the README leads to the
page in the site, and to the guide elsewhere and where there is no model.
"""

import os
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

import unspool

ROOT = Path(__file__).parents[1]
MODEL = Path(os.environ.get("UNSPOOL_DEMO_MODEL", ROOT / "build" / "demo" / "names.unspool"))
SCHEME, PAGE = "page:", "explain.html"
PICTURE = "](docs/explain.png)]("
"""How the README's first picture ends, and its link begins."""


def lead_to_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Give the link of the picture our scheme, which no other document is taken for."""
    if name == app.config.root_doc and MODEL.exists():
        before, _, rest = source[0].partition(PICTURE)
        source[0] = f"{before}{PICTURE}{SCHEME}{PAGE}{rest[rest.index(')') :]}"


def resolve_page(_: Sphinx, tree: nodes.document, name: str) -> None:
    """Lead the link to the page, which lies beside the README."""
    for node in tree.findall(nodes.reference):
        if str(node.get("refuri", "")).startswith(SCHEME):
            node["refuri"] = "../" * name.count("/") + node["refuri"].removeprefix(SCHEME)


def write_page(app: Sphinx, error: Exception | None) -> None:
    """Make the page."""
    if error is None and app.builder.name == "html" and MODEL.exists():
        model = unspool.load(MODEL)
        draws_inputs = model.row_net_ is not None  # of which float16 is tried
        model.explain(app.outdir / PAGE, half=draws_inputs)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the above."""
    app.connect("source-read", lead_to_page)
    app.connect("doctree-resolved", resolve_page)
    app.connect("build-finished", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
