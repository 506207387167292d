"""Counts that tell how easy the tree is to find one's way in: python tests/house_counts.py [FOLDER]."""

import ast
import collections
import functools
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "unspool"
COLUMN_CLASSES = {
    "AngleEncoder", "AngleInput", "BinaryEncoder", "IncrementEncoder", "JointVocabulary", "MomentPart", "MultiLabel",
    "NumericEncoder", "TimestampEncoder", "VectorEncoder", "Vocabulary",
}  # fmt: skip
"""Kinds of fitted columns."""


class House:
    """The modules of a package, and what they bind and import."""

    def __init__(self, root=SOURCE):
        self.root = Path(root)
        self.paths = {self.name(path): path for path in sorted(self.root.rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text("utf-8")) for name, path in self.paths.items()}
        self.imports = {name: self._imports(name) for name in self.trees}

    def name(self, path):
        """The module's name."""
        parts = ("unspool", *path.relative_to(self.root).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def lines(self):
        """By module."""
        return {name: len(path.read_text("utf-8").splitlines()) for name, path in self.paths.items()}

    def _imports(self, name):
        """The modules of the package that a module imports, wherever in the file; of the package itself, none."""
        found = set()
        for node in ast.walk(self.trees[name]):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unspool"):
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return set() if name == "unspool" else found & self.trees.keys() - {name, "unspool"}

    def bound_twice(self):
        """Public names that more than one module binds, with these modules."""
        homes = collections.defaultdict(set)
        for module, tree in self.trees.items():
            for node in tree.body:
                targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
                names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
                names += [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
                for name in names:
                    if not name.startswith("_"):
                        homes[name].add(module)
        return {name: sorted(modules) for name, modules in homes.items() if len(modules) > 1}

    def chain(self):
        """The longest chain of imports, from the top."""

        @functools.cache
        def longest(name):
            return [name, *max((longest(other) for other in self.imports[name]), key=len, default=[])]

        return max(map(longest, self.trees), key=len)

    def folders(self):
        """Files by folder, `__init__.py` aside."""
        return collections.Counter(path.parent for path in self.paths.values() if path.name != "__init__.py")

    def column_dispatch(self):
        """Modules that ask a fitted column for its class."""
        found = set()
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                asks = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
                if (asks or isinstance(node, ast.MatchClass)) and COLUMN_CLASSES & {
                    part.id for part in ast.walk(node.args[1] if asks else node.cls) if isinstance(part, ast.Name)
                }:
                    found.add(name)
        return sorted(found)

    def concrete_overrides(self):
        """Methods that replace one with a body in a base class of the package."""
        classes = {n.name: n for tree in self.trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}

        def bases(node):
            for base in node.bases:
                name = ast.unparse(base).split("[")[0].split(".")[-1]
                if name in classes:
                    yield classes[name]
                    yield from bases(classes[name])

        def methods(node):
            return {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}

        return [
            f"{node.name}.{name} replaces that of {base.name}"
            for node in classes.values()
            for base in bases(node)
            for name in methods(node).keys() & methods(base).keys()
            if not name.startswith("__")
            and not any("abstract" in ast.unparse(mark) for mark in methods(base)[name].decorator_list)
        ]


def main(folder=SOURCE):
    house = House(folder)
    lines, chain = house.lines, house.chain()
    biggest, files = house.folders().most_common(1)[0]
    print(f"files {len(lines)}, lines {sum(lines.values()):,}")
    print(f"public names bound in several modules: {len(house.bound_twice())} {sorted(house.bound_twice())[:9]}")
    print(f"imports per module {sum(map(len, house.imports.values())) / len(lines):.2f}")
    print(f"longest chain of imports {len(chain)}: {' > '.join(name.removeprefix('unspool.') for name in chain)}")
    print(f"biggest folder {biggest.name}, {files} files")
    print(f"modules that ask a column for its class: {', '.join(house.column_dispatch())}")
    print(f"concrete methods overridden: {house.concrete_overrides()}")
    long = sorted(((count, name) for name, count in lines.items() if count > 300), reverse=True)
    print(f"files over 300 lines: {', '.join(f'{name} {count}' for count, name in long)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
