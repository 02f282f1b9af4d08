"""Config: the frozen base of every configuration, its one loader, and the error a caller can fix.

An unknown key is an error that names it, ranges are checked before any data is read, and the resolved
config is saved beside what it made.
"""

import json
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class InputError(ValueError):
    """The caller can fix this: the message says what was seen, what is allowed, and what to do."""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Config):
    """What a step reports and a later one reads; nobody sets it."""


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(cls: type[ConfigT], path: Path) -> ConfigT:
    """Read one YAML or JSON file into `cls`.

    Raises:
        InputError: The file is absent, is no mapping, or holds a key or value that `cls` does not allow.
    """
    if not path.is_file():
        raise InputError(f"Config file {path} does not exist. Give the path of a YAML or JSON file.")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(f"Config file {path} holds {type(content).__name__}, not a mapping of keys to values.")
    return validated(cls, content, str(path))


def section(recipe: str, name: str, cls: type[ConfigT]) -> ConfigT:
    """Return one section of a recipe given as JSON, where an empty text or an absent section means the defaults.

    A step reads its own section so, without what the others need (torch, for one).
    """
    return validated(cls, json.loads(recipe or "{}").get(name, {}), f"recipe, section {name}")


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
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"{source}: {problems}. Allowed keys: {', '.join(cls.model_fields)}.") from error
