"""The product's source files and their syntax trees, as the tests of the house read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("redrec", "serving", "monitoring", "feature_repo", "components", "jobs", "pipelines", "cli")


@cache
def product_files() -> tuple[str, ...]:
    """Return the paths of all Python files of the product, relative to the repository."""
    return tuple(sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")))


@cache
def files_of_tests() -> tuple[str, ...]:
    """Return the paths of all Python files of the tests, without what the benchmarks install."""
    paths = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")]
    return tuple(sorted(path for path in paths if not path.startswith("tests/benchmarks/results/")))


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield each class of the product with the file that defines it."""
    for path in product_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                yield path, node


def module_name(path: str) -> str:
    """Return a file's import path.

    >>> module_name("redrec/data/tables.py"), module_name("redrec/data/__init__.py")
    ('redrec.data.tables', 'redrec.data')
    """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
