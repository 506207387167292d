"""What the documents say is true: their code runs, their links lead somewhere, their commands exist."""

import ast
import doctest
import os
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
SOURCE_LINK = re.compile(r"<(?:img|source|a)\b[^>]*?\b(?:src|srcset|href)=\"(?P<target>[^\"]+)\"")
INLINE_PATH = re.compile(r"`((?:src|tests|docs|examples|benchmarks|\.ci)/[\w./-]*)`")
MAKE = re.compile(r"(?:^|[`$(\s])make ([a-z][a-z-]*)(?=`|\s*(?:$|#))", re.MULTILINE)


class Block(NamedTuple):
    line: int
    kind: str
    code: str


def blocks(path):
    """The fenced blocks of a document, their code without the fence's indentation."""
    text = path.read_text("utf-8")
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        code = "".join(line[indent:] if line.strip() else line for line in match["code"].splitlines(keepends=True))
        yield Block(text.count("\n", 0, match.start()) + 2, match["kind"].strip(), code)


def prose(path):
    return FENCE.sub("", path.read_text("utf-8"))


def heading_anchors(path):
    """The anchors that GitHub makes of a document's headings."""
    for title in re.findall(r"^#+ +(.+?) *$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def run(path, block, namespace):
    """Run one block; what `>>>` shows must come out, plain code must not fail. Lines are the document's own."""
    code = "\n" * (block.line - 1) + block.code
    if ">>>" not in block.code:
        exec(compile(ast.parse(code, str(path)), str(path), "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.code, namespace, path.name, str(path), block.line - 1)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert not runner.failures, "".join(report)


WITH_CODE = [path for path in DOCUMENTS if any(block.kind == "python" for block in blocks(path))]


WHOLE_FITS = [pytest.param(path, marks=pytest.mark.slow) if path.name == "README.md" else path for path in WITH_CODE]


@pytest.mark.parametrize("path", WHOLE_FITS, ids=names(WITH_CODE))
def test_python_in_documents_runs(path, tmp_path, monkeypatch):
    """All blocks of a document share one namespace, in order, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace = {"__name__": "__main__"}
    for block in blocks(path):
        if block.kind == "python":
            run(path, block, namespace)


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_and_paths_in_documents_lead_somewhere(path):
    text = prose(path)
    targets = [match["target"] for pattern in (LINK, SOURCE_LINK) for match in pattern.finditer(text)]
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name) if name else path
        assert found.exists(), f"{path.name}: no file {target}"
        if anchor and found.suffix == ".md":
            assert anchor in heading_anchors(found), f"{path.name}: no heading {target}"
    for name in INLINE_PATH.findall(text):
        assert (ROOT / name).exists(), f"{path.name}: no file {name}"


def make_targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / ".ci" / "run"], ids=names([*DOCUMENTS, ROOT / ".ci" / "run"]))
def test_make_commands_in_documents_exist(path):
    text = path.read_text("utf-8")
    in_code = "\n".join([*re.findall(r"`[^`\n]+`", text), *(block.code for block in blocks(path))])
    commands = MAKE.findall(text if path.suffix != ".md" else in_code)
    assert set(commands) <= make_targets()


def test_makefile_describes_every_command():
    text = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    described = re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE)
    assert sorted(phony.split()) == sorted(described)


def test_ci_runs_the_commands_that_a_developer_runs():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.findall(r"^make (?:--\S+ )*(.*)$", script.read_text("utf-8"), re.MULTILINE) == ["check test"]


def test_paths_in_settings_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    tool = settings["tool"]
    build = tool["hatch"]["build"]["targets"]
    paths = [
        *settings["project"]["license-files"],
        tool["hatch"]["version"]["path"],
        *build["wheel"]["packages"],
        *build["sdist"]["include"],
        *tool["pytest"]["ini_options"]["testpaths"],
        *tool["ruff"]["src"],
        *(pattern.removesuffix("/**") for pattern in tool["ruff"]["lint"]["per-file-ignores"]),
        *tool["mypy"]["files"],
        *re.findall(r"\btests/test_\w+\.py\b(?=.*\n)", re.sub(r"##.*", "", (ROOT / "Makefile").read_text("utf-8"))),
    ]
    missing = [path for path in paths if not list(ROOT.glob(path))]
    assert not missing


def test_constraints_pin_exact_versions_and_name_no_place():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert not any(line.lower().startswith(("torch", "nvidia", "deepecho")) for line in lines), (
        "only `make bench` installs it"
    )


def test_every_extra_is_pinned():
    """Nothing that the tests or the demo install may float, but the benchmarks' peers, which their extra pins."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    extras = settings["optional-dependencies"]
    wanted = [*settings["dependencies"], *(name for key, names in extras.items() if key != "bench" for name in names)]
    found = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in wanted} - {"unspool"}
    assert found <= pinned
