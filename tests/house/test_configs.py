"""Everything that a person would tune can be set: a command reaches each field of each config, and a test sets it."""

import ast
import importlib
import typing
from collections.abc import Iterator
from functools import cache

import pytest
import yaml
from pydantic import BaseModel

from redrec.config import Config, Record
from tests.house.source import classes, files_of_tests, module_name, tree

# What a command, the environment or a request reads: the class, and how a person gives it.
GIVEN = {
    "redrec.training.recipe.Recipe": "--recipe FILE and --set of validate, run, release, train-job and demo; the pipelines' `recipe`",
    "serving.config.ServingConfig": "redrec serve --config FILE",
    "jobs.train_job.TrainJobConfig": "the options of redrec train-job",
    "jobs.load_job.LoadJobConfig": "the options of redrec load-job",
    "redrec.experiments.plan.Plan": "redrec gate --plan FILE",
    "redrec.experiments.allocation.Allocation": "redrec serve --allocation FILE",
    "pipelines.settings.ClusterSettings": "redrec compile --settings FILE",
    "cli.demo_run.DemoConfig": "redrec demo --config FILE",
    "serving.requests.Query": "a request",
}


@cache
def config_classes() -> dict[str, type[Config]]:
    """Return every subclass of Config in the product, but those of Record, which only report."""
    configs = {}
    for path, node in classes():
        name = f"{module_name(path)}.{node.name}"
        cls = getattr(importlib.import_module(module_name(path)), node.name, None)
        if isinstance(cls, type) and issubclass(cls, Config) and not issubclass(cls, Record) and cls is not Config:
            configs[name] = cls
    return configs


def parts_of(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the configs that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from parts_of(argument)


def reachable() -> set[type[BaseModel]]:
    known = config_classes()
    waiting: list[type[BaseModel]] = [known[name] for name in GIVEN]
    reached: set[type[BaseModel]] = set()
    while waiting:
        cls = waiting.pop()
        if cls not in reached:
            reached.add(cls)
            waiting.extend(cls.__subclasses__())  # an encoder or a backbone, by its `kind`
            for field in cls.model_fields.values():
                waiting.extend(parts_of(field.annotation))
    return reached


def test_a_command_reaches_every_config():
    unreachable = [name for name, cls in config_classes().items() if cls not in reachable()]
    assert unreachable == [], "no command reads them: give one an option, or make them a Record or a constant"


@cache
def names_set_in_tests() -> frozenset[str]:
    """Return every name that a test sets: by keyword, as a key of a mapping, or as a key of YAML in a text."""
    names = set()
    for path in files_of_tests():
        if path.startswith(("tests/house", "tests/benchmarks")):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword) and node.arg:
                names.add(node.arg)
            elif isinstance(node, ast.Dict):
                names.update(key.value for key in node.keys if isinstance(key, ast.Constant))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.update(keys_of_text(node.value))
    return frozenset(str(name) for name in names)


def keys_of_text(text: str) -> Iterator[str]:
    """Yield the keys of a text that is a YAML or JSON mapping, or of options such as `--num-nodes`.

    >>> list(keys_of_text('{"data": {"engine": "spark"}}')), list(keys_of_text("--num-nodes"))
    (['data', 'engine'], ['num_nodes'])
    """
    if text.startswith("--"):
        yield text.removeprefix("--").replace("-", "_")
        return
    try:
        content = yaml.safe_load(text) if ":" in text else None
    except yaml.YAMLError:
        return
    yield from keys_of(content)


def keys_of(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from keys_of(value)


def fields() -> list[tuple[str, str]]:
    return [(name, field) for name, cls in config_classes().items() for field in cls.model_fields]


@pytest.mark.parametrize(("config", "field"), fields())
def test_a_test_sets_every_field(config: str, field: str):
    assert field in names_set_in_tests(), f"no test sets {config}.{field}: test it, or make it a constant"


def test_unions_and_lists_are_followed():
    assert list(parts_of(dict[str, tuple[Config, ...]] | None)) == [Config]
