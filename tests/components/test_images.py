"""The images: what their Dockerfiles copy enters the build, and their names are those that everything else uses."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from components.images import PIPELINE_IMAGE, REGISTRY, image_names
from redrec import __version__
from tests.house.source import ROOMS, ROOT, product_files, tree

FOLDERS = ("components", "serving")  # of the Dockerfiles


def copied(folder: str) -> list[str]:
    """Return what a Dockerfile copies from the repository."""
    names = []
    for words in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / folder / "Dockerfile").read_text(), re.MULTILINE):
        names.extend(words.split())
    return names


def enters_the_build(name: str) -> bool:
    """Say what .dockerignore does with a file; its last line that fits decides."""
    is_in = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and (fnmatch(name, pattern) or fnmatch(name, f"{pattern}/*")):
            is_in = line.startswith("!")
    return is_in


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_that_a_dockerfile_copies_enters_the_build(folder: str):
    assert [name for name in copied(folder) if not (ROOT / name).exists()] == []
    assert [name for name in copied(folder) if not enters_the_build(name)] == []


@pytest.mark.parametrize("name", [".git", ".venv", "tests", "helm", "demo", "redrec/__pycache__"])
def test_all_else_stays_outside(name: str):
    assert not enters_the_build(name)


def imported_rooms(folder: str) -> Iterator[str]:
    for path in product_files():
        if path.split("/")[0] in copied(folder):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_image_has_each_room_that_its_code_imports(folder: str):
    assert set(imported_rooms(folder)) & set(ROOMS) <= set(copied(folder))


def test_the_manifest_that_a_step_deploys_enters_the_build():
    assert enters_the_build("serving/manifests/inferenceservice.yaml")


def test_the_makefile_gets_the_names_that_the_pipelines_use():
    """The package of the repository is enough: `make images` needs no environment."""
    words = [sys.executable, "-S", "-m", "components.images", "", "4f2a"]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = dict(line.split() for line in printed.splitlines())
    assert lines == image_names(REGISTRY, f"{__version__}-4f2a")
    assert lines["components"].replace("-4f2a", "") == PIPELINE_IMAGE
    assert all((Path(ROOT) / folder / "Dockerfile").is_file() for folder in lines)
