"""Problems: what pydantic refuses, as one line that says what was seen, what is allowed and what is close to it."""

import difflib
import reprlib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Keys = Sequence[int | str]  # the keys and indices that lead to a value


def problems_text(cls: type[BaseModel], content: object, error: ValidationError) -> str:
    """Return all problems of `content` as a `cls`, and the keys that are allowed where one is unknown or missing.

    >>> class Window(BaseModel, extra="forbid"):
    ...     days: int
    >>> try:
    ...     Window.model_validate({"dayz": 7})
    ... except ValidationError as error:
    ...     print(problems_text(Window, {"dayz": 7}, error))
    days: missing; dayz: unknown key, did you mean days? Allowed keys: days.
    """
    problems, allowed = [], {}
    for problem in error.errors():
        *path, key = problem["loc"] or ("",)
        model = model_at(cls, content, path)
        problems.append(f"{'.'.join(map(str, problem['loc']))}: {_what(problem, model, str(key))}")
        if problem["type"] in ("missing", "extra_forbidden") and model is not None:
            section = f" of {'.'.join(map(str, path))}" if path else ""
            allowed[section] = f" Allowed keys{section}: {', '.join(model.model_fields)}."
    text = "; ".join(problems)
    return f"{text}{'' if text.endswith('?') else '.'}{''.join(allowed.values())}"


def _what(problem: ErrorDetails, model: type[BaseModel] | None, key: str) -> str:
    if problem["type"] == "missing":
        return "missing"
    if problem["type"] == "extra_forbidden":
        return f"unknown key{_suggestion(key, model)}"
    message = problem["msg"].removeprefix("Value error, ")
    is_shown = isinstance(problem["input"], str | int | float) and problem["type"] != "value_error"
    return f"{message}, not {reprlib.repr(problem['input'])}" if is_shown and not _is_secret(model, key) else message


def _is_secret(model: type[BaseModel] | None, key: str) -> bool:
    """Return whether the field is left out where its model is printed, as a token is."""
    return model is not None and key in model.model_fields and not model.model_fields[key].repr


def _suggestion(key: str, model: type[BaseModel] | None) -> str:
    """Return the key that may be meant: a similar one, or one of this name in a section."""
    if model is None:
        return ""
    meant = difflib.get_close_matches(key, model.model_fields, n=1)
    meant += [f"{name}.{key}" for name, section in _sections(model) if key in section.model_fields]
    return f", did you mean {' or '.join(meant)}?" if meant else ""


def _sections(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        section = _model_of(field.annotation)
        if section is not None:
            yield name, section


def model_at(cls: type[BaseModel], content: object, path: Keys) -> type[BaseModel] | None:
    """Return the model that reads the value at `path` of `content`; None if there is no such model."""
    model: type[BaseModel] | None = cls
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
        if model is not None and key in model.model_fields:  # else the index of a list, or the key of a mapping
            model = _model_of(model.model_fields[str(key)].annotation)
        if model is not None:
            model = _of_kind(model, content)
    return model


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the first model in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_of(argument) for argument in typing.get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _of_kind(model: type[BaseModel], content: object) -> type[BaseModel]:
    """Return the registered class that a mapping's `kind` names, if `model` is the base of such classes."""
    kind = content.get("kind") if isinstance(content, Mapping) else None
    for registered in model.__subclasses__():
        if "kind" in registered.model_fields and registered.model_fields["kind"].default == kind:
            return registered
    return model
