"""The modules of Unspool form layers: each imports only from strictly lower ones, or from its own folder."""

import ast
import graphlib
from pathlib import Path

import pytest

LAYERS = (
    ("errors",),
    ("runtime", "options"),
    ("tables",),
    ("schema",),
    ("dataset", "modelfile"),
    ("encoding",),
    ("streaming",),
    ("constraints", "config", "labels"),
    ("network",),
    ("training", "generation"),  # side by side: they never import each other
    ("evaluation", "export"),
    ("pipeline",),
    ("plots",),
    ("report",),
    ("sequences",),
    ("reranking",),
    ("jobs",),
    ("inspection", "cards", "generator"),
    ("web",),
    ("model",),
    ("serving", "cluster"),
    ("ray", "spark"),
    ("demos",),
    ("cli",),
    ("__main__",),
)
"""The one place where the order is written down, lowest first. A name is a module or a folder of `src/unspool`."""

SOURCE = Path(__file__).parents[1] / "src" / "unspool"
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}
EXEMPT = {"unspool"}  # the package itself: it imports names only when they are asked for


def module_name(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def part(module):
    """The module or folder of `src/unspool` that a module belongs to."""
    return [*module.split("."), ""][1]


def imported_names(tree):
    """Every (module, name, line) of an import of ours, wherever in the file it stands; name is None for `import x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "unspool":
                    yield alias.name, None, node.lineno
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level or source.split(".")[0] == "unspool":
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    yield (inner, None, node.lineno) if inner in TREES else (source, alias.name, node.lineno)


def own_imports(module):
    return {source for source, _, _ in imported_names(TREES[module])}


MODULES = sorted(TREES.keys() - EXEMPT)


def test_every_module_has_a_layer():
    assert {part(module) for module in MODULES} <= HEIGHT.keys(), "add the new module to LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_lower_layers_or_the_same_folder(module):
    for source, _, line in imported_names(TREES[module]):
        same = part(source) == part(module)
        assert source != "unspool", f"{module}:{line} imports the package; import from the module that defines the name"
        assert same or HEIGHT[part(source)] < HEIGHT[part(module)], (
            f"{module}:{line} imports {source}, which is no lower"
        )


@pytest.mark.parametrize("module", sorted(TREES))
def test_no_import_is_relative(module):
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno} imports relative to its folder"


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: {name for name in own_imports(module) if name in TREES} - {module} for module in MODULES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def defined_names(tree):
    """The names that a module binds by anything but an import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@pytest.mark.parametrize("module", MODULES)
def test_names_are_taken_from_the_module_that_defines_them(module):
    for source, name, line in imported_names(TREES[module]):
        if name is not None:
            assert source in TREES, f"{module}:{line} imports {source}, which does not exist"
            assert name in defined_names(TREES[source]), f"{module}:{line} takes {name} from {source}, which imports it"
