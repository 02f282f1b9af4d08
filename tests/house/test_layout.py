"""Where things are: a file's name is written once, and a module's tests are found by its name."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, files_of_tests, product_files, tree

FILE = re.compile(r"[\w.{}/-]*\.(parquet|json|jsonl|npy|npz|onnx|bin|safetensors|db|txt|html|yaml)")
FOLDERS = {"bundle", "features", "drift", "histories", "export", "content", "checkpoint", "index", "sources", "steps"}
# Who owns a folder's files; anybody else goes through its owner.
OWNERS = {
    "redrec/folders.py",
    "redrec/atomic.py",  # its own temporary files
    "redrec/data/histories.py",
    "redrec/training/checkpoint.py",
    "redrec/datasets/",
    "redrec/model/encoders/",
    "redrec/model/item_tower.py",
    "feature_repo/",
    "serving/deploy.py",  # its manifest
    "pipelines/",  # what KFP's local runner lays down
    "cli/quality.py",  # its page
    "cli/demo_run.py",  # what the demo writes
    "redrec/data/prepare.py",  # its scratch files
    "redrec/data/sources.py",  # its scratch files
    "redrec/experiments/logs.py",  # its scratch files
    "redrec/experiments/rows.py",  # its scratch files
    "redrec/experiments/history.py",  # its scratch files
}
NO_TESTS_OF_THEIR_OWN = 25  # lines of code; shorter modules are tested where they are used
HOUSE = ("house", "benchmarks", "cluster", "helm")


def path_literals(path: str) -> Iterator[str]:
    """Yield the names of files and folders that a module writes out to make a path."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for text in literals(node.right):
                if FILE.fullmatch(text) or text in FOLDERS:
                    yield text


def literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def is_owner(path: str) -> bool:
    return any(path == owner or (owner.endswith("/") and path.startswith(owner)) for owner in OWNERS)


@pytest.mark.parametrize("path", [path for path in product_files() if not is_owner(path)])
def test_only_the_owner_of_a_folder_names_its_files(path: str):
    assert list(path_literals(path)) == []


def test_no_two_owners_name_the_same_file():
    owners = defaultdict(set)
    for path in product_files():
        for name in path_literals(path):
            if name.count(".") and "{}" not in name:
                owners[name].add(path)
    shared = {name: sorted(paths) for name, paths in owners.items() if len(paths) > 1}
    # Tables of a generated log are named as in the README; a folder of histories has its own table of users.
    assert set(shared) <= {"events.parquet", "items.parquet"}


def num_lines_of_code(path: str) -> int:
    """Count the lines of statements, texts left out."""
    lines = set()
    for node in ast.walk(tree(path)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not is_text and not isinstance(node, ast.Import | ast.ImportFrom):
            lines.add(node.lineno)
    return len(lines)


def mirrored(path: str) -> Path:
    """Return the test file of a module.

    >>> str(mirrored("redrec/data/tables.py")), str(mirrored("serving/app.py"))
    ('tests/data/test_tables.py', 'tests/serving/test_app.py')
    """
    folder, name = Path(path).parent, Path(path).name
    within = folder.relative_to("redrec") if folder.is_relative_to("redrec") else folder
    return Path("tests") / within / f"test_{name}"


@pytest.mark.parametrize("path", [path for path in product_files() if num_lines_of_code(path) > NO_TESTS_OF_THEIR_OWN])
def test_a_module_has_a_test_file_of_its_name(path: str):
    assert (ROOT / mirrored(path)).is_file(), f"{path} is tested in {mirrored(path)}, which is not there"


@pytest.mark.parametrize("path", [path for path in files_of_tests() if Path(path).name.startswith("test_")])
def test_a_test_file_has_the_name_of_a_module(path: str):
    if Path(path).parts[1] in HOUSE:
        return
    modules = {str(mirrored(module)) for module in product_files()}
    assert path in modules, f"no module is tested by a file of this name: {path}"
