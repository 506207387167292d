"""The site of the documents: it is complete, builds without a warning, and asks no other server for anything."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import unspool

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REQUEST = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|srcset|href)=\"(?:https?:)?//[^\"]*\"")


@pytest.fixture(scope="module")
def settings():
    """The names that `docs/conf.py` defines."""
    before = [*sys.path]
    yield runpy.run_path(str(DOCS / "conf.py"))
    sys.path[:] = before


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` builds it, but for the model of the demonstration."""
    (command,) = re.findall(r"^\t\$\(RUN\) (-m sphinx .*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    out = tmp_path_factory.mktemp("site")
    words = command.replace(".cache/doctrees", str(out / "doctrees")).replace("build/site", str(out / "site")).split()
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    path["UNSPOOL_DEMO_MODEL"] = str(ROOT / "tests" / "golden" / "format-2.unspool")
    run = [sys.executable, *words]
    done = subprocess.run(run, cwd=ROOT, env=os.environ | path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / "site"


def test_paths_in_the_settings_of_the_site_exist(settings):
    assert all((DOCS / name).exists() for name in settings["html_static_path"])
    assert all(list(ROOT.glob(pattern)) for pattern in settings["include_patterns"])
    assert ROOT.joinpath(settings["root_doc"] + ".md").exists()


def test_the_side_bar_lists_every_document_once(settings):
    documents = {path.relative_to(ROOT) for pattern in settings["include_patterns"] for path in ROOT.glob(pattern)}
    listed = re.findall(r"^[\w/-]+$", settings["CONTENTS"], re.MULTILINE)
    assert sorted([*listed, settings["root_doc"]]) == sorted(str(path.with_suffix("")) for path in documents)


def test_the_reference_has_every_public_name_once():
    described = re.findall(r"auto\w+:: (?:unspool\.)?(\w+)$", DOCS.joinpath("api.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(described) == unspool.__all__


def test_the_site_asks_no_other_server_for_anything(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert [found for page in pages for found in REQUEST.findall(page.read_text("utf-8"))] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", styles)


def test_a_link_to_a_line_leads_to_that_line(site):
    page = site.joinpath("docs", "how-it-works.html").read_text("utf-8")
    targets = re.findall(r"href=\"(\.\./[\w/.]*\.py\.html)#(L-\d+)\"", page)
    assert targets
    for path, anchor in targets:
        assert f'id="{anchor}"' in (site / "docs" / path).resolve().read_text("utf-8")
    reference = site.joinpath("docs", "api.html").read_text("utf-8")
    assert re.search(r"href=\"\.\./src/unspool/model\.py\.html#L-\d+\"", reference)


def test_the_first_page_is_the_readme(site):
    assert site.joinpath("index.html").read_bytes() == site.joinpath("README.html").read_bytes()


def test_the_first_picture_leads_to_the_page_that_explains_a_model(site):
    """To the page of the site; the README itself leads to the guide, because no page is committed."""
    first = site.joinpath("index.html").read_text("utf-8")
    (target,) = re.findall(r'href="([^"]*)"><img [^>]*src="_images/explain.png"', first)
    assert target == "explain.html"
    page = site.joinpath(target).read_text("utf-8")
    assert 'id="model" data-weights="F' in page
    assert "From one input to a sequence" in page
