"""Config: the frozen base of every configuration, its one loader, and the error a caller can fix.

An unknown key is an error that names it, ranges are checked before any data is read, and the resolved
config is saved with the result.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class InputError(ValueError):
    """The caller can fix this: the message says what was seen, what is allowed, and what to do."""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Config):
    """A step's report, which a later step reads; it has no options to set."""


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(cls: type[ConfigT], path: Path) -> ConfigT:
    """Read one YAML or JSON file into `cls`.

    Raises:
        InputError: The file is absent or broken, is no mapping, or holds a key or value that `cls` does not allow.
    """
    if not path.is_file():
        raise InputError(f"Config file {path} does not exist. Give the path of a YAML or JSON file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"Config file {path} cannot be read: {error}. Give a YAML or JSON file.") from error
    if not isinstance(content, dict):
        raise InputError(f"Config file {path} holds {type(content).__name__}, not a mapping of keys to values.")
    return validated(cls, content, str(path))


def section(recipe: str, name: str, cls: type[ConfigT]) -> ConfigT:
    """Return one section of a recipe given as JSON; an empty text or an absent section means the defaults.

    So a step reads its own section without importing what the others need, such as torch.

    Raises:
        InputError: The recipe is no JSON object, or the section holds a key or value that `cls` does not allow.
    """
    try:
        content = json.loads(recipe or "{}")
    except json.JSONDecodeError as error:
        raise InputError(f"The recipe is no JSON: {error}. Give fields of redrec.training.recipe.Recipe.") from error
    if not isinstance(content, dict):
        raise InputError(f"The recipe is JSON of {type(content).__name__}; allowed is an object of sections.")
    return validated(cls, content.get(name, {}), f"recipe, section {name}")


def validated(cls: type[ConfigT], content: dict[str, object], source: str) -> ConfigT:
    """Return `content` as a `cls`; `source` names it in the error.

    >>> class Window(Config):
    ...     days: int
    >>> validated(Window, {"dayz": 7}, "window.yaml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    redrec.config.InputError: window.yaml: days: Field required; dayz: Extra inputs ... Allowed keys: days.
    """
    try:
        return cls.model_validate(content)
    except ValidationError as error:
        problems, keys = [], ""
        for problem in error.errors():
            problems.append(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
            if problem["type"] in ("missing", "extra_forbidden") and len(problem["loc"]) == 1:
                keys = f" Allowed keys: {', '.join(cls.model_fields)}."
        raise InputError(f"{source}: {'; '.join(problems)}.{keys}") from error


def config_of_kind(value: Any, classes: Mapping[str, type[ConfigT]]) -> ConfigT:
    """Return `value`, a mapping or a config, as the class that its `kind` names in `classes`.

    >>> class Point(Config):
    ...     kind: str
    >>> config_of_kind({"kind": "line"}, {"point": Point})
    Traceback (most recent call last):
    ...
    ValueError: kind is 'line', allowed are 'point'
    """
    kind: Any = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if kind not in classes:
        raise ValueError(f"kind is {kind!r}, allowed are {', '.join(map(repr, classes))}")
    return classes[kind].model_validate(value)
