"""Config: the frozen base of every configuration, its one loader, and the error a caller can fix.

An unknown key is an error that names it, ranges are checked before any data is read, and the resolved
config is saved with the result.
"""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from redrec.problems import problems_text


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
    return validated(cls, read_mapping(path), str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """Return what a YAML or JSON file holds.

    Raises:
        InputError: The file is absent or broken, or is no mapping.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"Config file {path} {what}. Give the path of a YAML or JSON file.")
    return parsed_mapping(path.read_bytes(), path)


def parsed_mapping(content: bytes, path: Path | str) -> dict[str, Any]:
    """Return what a YAML or JSON file with this content holds; `path` names it in errors."""
    try:
        mapping = parsed(content.decode())
    except ValueError as error:  # or a file that is no text
        raise InputError(f"Config file {path} cannot be read: {error}. Give a YAML or JSON file.") from error
    if not isinstance(mapping, dict):
        raise InputError(f"Config file {path} holds {type(mapping).__name__}, not a mapping of keys to values.")
    return mapping


def parsed(text: str) -> Any:
    """Return the value of a YAML or JSON text.

    >>> parsed("num_steps: [1, 2")
    Traceback (most recent call last):
    ...
    ValueError: line 1, column 17: expected ',' or ']', but got '<stream end>'
    """
    if text.lstrip().startswith("{"):  # JSON, most likely: YAML takes 200 times as long
        with contextlib.suppress(ValueError):
            return json.loads(text)
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem}") from error
    except yaml.YAMLError as error:  # a character that no text has
        raise ValueError(str(error).splitlines()[0]) from error


def section(recipe: str | Mapping[str, Any], name: str, cls: type[ConfigT]) -> ConfigT:
    """Return one section of a recipe, given as JSON or parsed; an empty text or an absent section means the defaults.

    So a step reads its own section without importing what the others need, such as torch.

    Raises:
        InputError: The recipe is no JSON object, or the section holds a key or value that `cls` does not allow.
    """
    content = recipe if isinstance(recipe, Mapping) else _recipe_content(recipe)
    return validated(cls, content.get(name, {}), f"recipe, section {name}")


def _recipe_content(recipe: str) -> dict[str, Any]:
    try:
        content = json.loads(recipe or "{}")
    except json.JSONDecodeError as error:
        raise InputError(f"The recipe is no JSON: {error}. Give fields of redrec.training.recipe.Recipe.") from error
    if not isinstance(content, dict):
        raise InputError(f"The recipe is JSON of {type(content).__name__}; allowed is an object of sections.")
    return content


def validated(cls: type[ConfigT], content: Mapping[str, object], source: str) -> ConfigT:
    """Return `content` as a `cls`; `source` names it in the error.

    >>> class Window(Config):
    ...     days: int
    >>> validated(Window, {"dayz": 7}, "window.yaml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    redrec.config.InputError: window.yaml: days: missing; dayz: unknown key, did you mean days? Allowed keys: days.
    """
    try:
        return cls.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: {problems_text(cls, content, error)}") from error


def changed(config: ConfigT, changes: Sequence[str], source: str = "change") -> ConfigT:
    """Return the config with fields set, each change being `path.of.field=VALUE` with a value in YAML or JSON.

    Several changes may be one text, with commas between them. A new `kind` brings fields of its own, so those of the
    old one are dropped. `source` names the changes in the error.

    >>> class Window(Config):
    ...     days: int = 7
    ...     names: tuple[str, ...] = ()
    >>> changed(Window(), ["days=3,names=[a, b]"], "--set")
    Window(days=3, names=('a', 'b'))

    Raises:
        InputError: A change is no assignment, or gives a key or value that the config does not allow.
    """
    content = config.model_dump(mode="json")
    for change in changes:
        for assignment in re.split(r",(?=[\w.]+=)", change):
            _assign(content, assignment, source)
    return validated(type(config), content, source)


def _assign(content: dict[str, Any], assignment: str, source: str) -> None:
    path, equals, text = assignment.partition("=")
    *sections, key = path.split(".")
    if not equals or not all((*sections, key)):
        raise InputError(f"{source} {assignment!r} is no assignment. Give it as in {source} optimizer.num_steps=2000.")
    try:
        value = parsed(text)
    except ValueError as error:
        raise InputError(f"{source} {assignment!r} has no YAML or JSON after the =: {error}.") from error
    for section in sections:
        if content.get(section) is None:
            content[section] = {}
        content = content[section]
        if not isinstance(content, dict):
            raise InputError(f"{source} {assignment!r}: {section} is a value without fields of its own.")
    if key == "kind" and value != content.get(key):
        content.clear()
    content[key] = value


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
