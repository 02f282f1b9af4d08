"""The arrows of the house, read from every file's syntax tree: imports inside functions count too."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.house.source import ROOT, module_name, product_files, tree

# Who may import whom: cli -> pipelines -> components -> jobs -> {serving, monitoring, feature_repo} -> redrec.
ALLOWED = {
    "redrec": {"redrec"},
    "serving": {"serving", "redrec", "feature_repo"},  # the predictor reads histories through feature_repo.online
    "monitoring": {"monitoring", "redrec"},
    "feature_repo": {"feature_repo", "redrec"},
    "components": {"components", "jobs", "serving", "monitoring", "feature_repo", "redrec"},
    "jobs": {"jobs", "serving", "redrec"},
    "pipelines": {"pipelines", "components", "jobs", "serving", "monitoring", "feature_repo", "redrec"},
    "cli": {"cli", "pipelines", "components", "jobs", "serving", "monitoring", "feature_repo", "redrec"},
}
PLATFORM = {"kfp", "kserve", "feast", "evidently", "kubernetes", "openfeature"}
# The floors of redrec/, lowest first: a file imports from its own folder and from lower floors.
FLOORS = (
    (
        "config",
        "config_yaml",
        "problems",
        "hashing",
        "prefetch",
        "cpus",
        "atomic",
        "folders",
        "mapped",
        "markdown",
        "intervals",
        "batch",
    ),
    ("history", "store"),
    ("data",),
    ("datasets", "model", "drift", "experiments"),
    ("index",),
    ("evaluation",),
    ("bundle", "training"),
)
# Where a library may be imported, by the prefix of the file's path; everywhere else in redrec/ it is a mistake.
HOMES = {
    "pymilvus": ("redrec/index/",),
    "torch": ("redrec/model/", "redrec/training/"),
    "transformers": ("redrec/model/", "redrec/training/"),
    "tea_tasting": ("redrec/experiments/",),
    "boto3": ("redrec/store/",),
    "botocore": ("redrec/store/",),
}
# What a process that starts here may not load, followed through all imports.
LIGHT = {
    "redrec.evaluation.evaluate": {"torch", "pymilvus"},
    "redrec.bundle.builder": {"torch"},
    "redrec.bundle.reader": {"torch", "ibis", "duckdb", "pymilvus"},
    "redrec.data.prepare": {"torch", "pymilvus"},
    "redrec.data.validity": {"ibis", "duckdb", "pydantic", "pyarrow"},  # the serving image has no DuckDB
    "redrec.history": {"torch", "pyarrow"},
    "feature_repo.materialize": {"torch", "pymilvus"},
    "feature_repo.definitions": {"torch", "dask"},  # it imports Feast
    "feature_repo.event_table": {"feast", "pandas", "torch", "pymilvus"},  # a push says what is wrong with its file
    "feature_repo.push": {"ibis", "duckdb"},
    "monitoring.reports": {"torch", "pymilvus", "evidently"},
    "monitoring.workspace": {"torch", "pymilvus", "evidently"},  # 7 s of imports, for the drift job alone
    "serving.retriever": {"torch", "ibis", "duckdb", "kfp"},
    "serving.openfeature": {"kserve", "fastapi", "feast", "pyarrow", "ibis"},  # other services import it
    "serving.start": {"kserve", "fastapi", "numpy", "feast"},
    "serving.app": {"torch", "ibis", "duckdb", "kfp"},
    "cli.main": {"torch", "numpy", "pyarrow", "kfp", "feast", "evidently", "pandas"},
}


def modules_after_importing(module: str) -> set[str]:
    """Return the names of all modules that are loaded once `module` is imported."""
    script = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def imported_modules(module: ast.AST) -> Iterator[str]:
    r"""Yield the full name of every module that is imported, at any depth.

    >>> list(imported_modules(ast.parse("import os.path\ndef f():\n    from redrec.index import milvus")))
    ['os.path', 'redrec.index.milvus', 'redrec.index']
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrows: write the import path out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module or ""


def forbidden_imports(path: str, module: ast.AST) -> list[str]:
    """Return what the file at `path` (relative to the repository) may not import, with the reason."""
    room = path.split("/")[0]
    errors = []
    for name in dict.fromkeys(imported_modules(module)):
        top = name.split(".")[0]
        if top in ALLOWED and top not in ALLOWED[room]:
            errors.append(f"{path} imports {name}: {room} may import {', '.join(sorted(ALLOWED[room]))}")
        if room == "redrec" and top in PLATFORM:
            errors.append(f"{path} imports {name}: redrec is a library and knows no platform")
        if room == "redrec" and top in HOMES and not path.startswith(HOMES[top]):
            errors.append(f"{path} imports {name}: only {', '.join(HOMES[top])} may")
        if room == "redrec" and top == "redrec" and is_upward(path, name):
            errors.append(f"{path} imports {name}, which is on a floor above it or beside it")
        if top == "tests":
            errors.append(f"{path} imports {name}: the product does not know its tests")
    return errors


def floor_of(name: str) -> int:
    """Return the floor of a module of redrec.

    >>> floor_of("redrec.config"), floor_of("redrec.history"), floor_of("redrec.data.tables")
    (0, 1, 2)
    """
    folder = name.split(".")[1]
    return next(number for number, folders in enumerate(FLOORS) if folder in folders)


def is_upward(path: str, name: str) -> bool:
    own = module_name(path)
    if "redrec" in (own, name) or name == "redrec.__version__" or folder_of(own) == folder_of(name):
        return False
    is_lowest = floor_of(own) == 0  # a floor of single files; another test sees that they form no circle
    return floor_of(name) > floor_of(own) or (floor_of(name) == floor_of(own) and not is_lowest)


def arrows() -> dict[str, set[str]]:
    """Return what each module of the product imports of the product."""
    modules = {module_name(path): path for path in product_files()}
    return {
        name: {imported for imported in imported_modules(tree(path)) if imported in modules} - {name}
        for name, path in modules.items()
    }


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return a circle of names, if there is one.

    >>> circle({"a": ["b"], "b": ["c"], "c": ["a"]})
    ['a', 'b', 'c', 'a']
    >>> circle({"a": ["b", "c"], "b": ["c"], "c": []}) is None
    True
    """
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in finished:
            return None
        for other in sorted(arrows.get(name, ())):
            closed = visit(other, [*trail, name])
            if closed:
                return closed
        finished.add(name)
        return None

    for name in sorted(arrows):
        closed = visit(name, [])
        if closed:
            return closed
    return None


def folder_arrows(arrows: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the arrows between folders; a module that lies in redrec/ itself is a folder of its own."""
    between: dict[str, set[str]] = {}
    for name, others in arrows.items():
        own = folder_of(name)
        between.setdefault(own, set()).update({folder_of(other) for other in others} - {own})
    return between


def folder_of(name: str) -> str:
    """Return the folder whose arrows count.

    >>> folder_of("redrec.model.encoders.text"), folder_of("redrec.history"), folder_of("serving.app")
    ('redrec.model', 'redrec.history', 'serving')
    """
    return ".".join(name.split(".")[: 2 if name.startswith("redrec.") else 1])


@pytest.mark.parametrize("path", product_files())
def test_a_file_imports_only_downwards(path: str):
    assert forbidden_imports(path, tree(path)) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(arrows()) is None


def test_no_folders_import_each_other_in_a_circle():
    assert circle(folder_arrows(arrows())) is None


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy_through_others(module: str):
    """In a process of its own: what is really loaded, whoever imports it."""
    assert LIGHT[module] & modules_after_importing(module) == set()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("redrec/data/tables.py", "import serving"),
        ("redrec/data/tables.py", "def f():\n    from kfp import dsl"),
        ("redrec/data/tables.py", "from redrec.model.losses import LossConfig"),
        ("redrec/history.py", "import redrec.data.split"),
        ("redrec/training/towers.py", "import redrec.bundle.reader"),
        ("redrec/evaluation/evaluate.py", "if True:\n    import torch.nn as nn"),
        ("redrec/bundle/builder.py", "from pymilvus import MilvusClient"),
        ("serving/app.py", "from components.images import IMAGE"),
        ("monitoring/reports.py", "from cli import main"),
        ("components/train_towers.py", "import pipelines.training"),
        ("pipelines/local.py", "from tests.benchmarks import mixing"),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str):
    assert forbidden_imports(path, ast.parse(source))


def test_an_allowed_import_passes():
    source = "from pymilvus import MilvusClient\nimport redrec.config"
    assert forbidden_imports("redrec/index/milvus.py", ast.parse(source)) == []


@pytest.mark.parametrize("path", [p for p in product_files() if p.endswith("__init__.py")])
def test_a_package_file_imports_nothing(path: str):
    """So that importing one light module never drags a heavy neighbour in."""
    assert list(imported_modules(tree(path))) == []


def test_every_room_is_checked():
    rooms = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()} - {"tests"}
    assert rooms == set(ALLOWED)
