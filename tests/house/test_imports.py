"""The arrows of the house, read from every file's syntax tree: imports inside functions count too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Who may import whom: cli -> pipelines -> jobs -> components -> {serving, monitoring, feature_repo} -> redrec.
ALLOWED = {
    "redrec": {"redrec"},
    "serving": {"serving", "redrec", "feature_repo"},  # the predictor reads histories through feature_repo.online
    "monitoring": {"monitoring", "redrec"},
    "feature_repo": {"feature_repo", "redrec"},
    "components": {"components", "serving", "monitoring", "feature_repo", "redrec"},
    "jobs": {"jobs", "components", "redrec"},  # the image that components run in
    "pipelines": {"pipelines", "components", "jobs", "serving", "monitoring", "feature_repo", "redrec"},
    "cli": {"cli", "pipelines", "components", "jobs", "serving", "monitoring", "feature_repo", "redrec"},
}
PLATFORM = {"kfp", "kserve", "feast", "evidently", "kubernetes"}
# Where a library may be imported, by the prefix of the file's path; everywhere else in redrec/ it is a mistake.
HOMES = {
    "pymilvus": ("redrec/index/",),
    "torch": ("redrec/model/", "redrec/training/"),
    "transformers": ("redrec/model/", "redrec/training/"),
    "tea_tasting": ("redrec/experiments/",),
}


def imported_modules(source: str) -> Iterator[str]:
    r"""Yield the full name of every module that `source` imports, at any depth.

    >>> list(imported_modules("import os.path\ndef f():\n    from redrec.index import milvus"))
    ['os.path', 'redrec.index']
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrows: write the import path out"
            yield node.module or ""


def forbidden_imports(path: str, source: str) -> list[str]:
    """Return what the file at `path` (relative to the repository) may not import, with the reason."""
    room = path.split("/")[0]
    found = []
    for module in imported_modules(source):
        top = module.split(".")[0]
        if top in ALLOWED and top not in ALLOWED[room]:
            found.append(f"{path} imports {module}: {room} may import {', '.join(sorted(ALLOWED[room]))}")
        if room == "redrec" and top in PLATFORM:
            found.append(f"{path} imports {module}: redrec is a library and knows no platform")
        if room == "redrec" and top in HOMES and not path.startswith(HOMES[top]):
            found.append(f"{path} imports {module}: only {', '.join(HOMES[top])} may")
        if top == "tests":
            found.append(f"{path} imports {module}: the product does not know its tests")
    return found


def product_files() -> list[str]:
    return sorted(str(p.relative_to(ROOT)) for room in ALLOWED for p in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", product_files())
def test_a_file_imports_only_downwards(path: str):
    assert forbidden_imports(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("redrec/data/tables.py", "import serving"),
        ("redrec/data/tables.py", "def f():\n    from kfp import dsl"),
        ("redrec/evaluation/evaluate.py", "if True:\n    import torch.nn as nn"),
        ("redrec/bundle/builder.py", "from pymilvus import MilvusClient"),
        ("serving/app.py", "from components.images import IMAGE"),
        ("monitoring/reports.py", "from cli import main"),
        ("components/train_towers.py", "import pipelines.training"),
        ("pipelines/cli.py", "from tests.benchmarks import mixing"),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str):
    assert len(forbidden_imports(path, source)) == 1


def test_an_allowed_import_passes():
    assert forbidden_imports("redrec/index/milvus.py", "from pymilvus import MilvusClient\nimport redrec.config") == []


@pytest.mark.parametrize("path", [p for p in product_files() if p.endswith("__init__.py")])
def test_a_package_file_imports_nothing(path: str):
    """So that importing one light module never drags a heavy neighbour in."""
    assert list(imported_modules((ROOT / path).read_text(encoding="utf-8"))) == []


def test_every_room_is_checked():
    rooms = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()} - {"tests"}
    assert rooms <= set(ALLOWED)
