"""Config as YAML: each field with its value and the comment beside it in the source, so a comment is written once."""

import ast
import inspect
import io
import textwrap
import tokenize
import typing
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from redrec.config import Config


def to_yaml(config: BaseModel) -> str:
    """Return all fields of a config; the text read again is an equal config."""
    return "\n".join(_lines(config, "")) + "\n"


def _lines(config: BaseModel, indent: str) -> Iterator[str]:
    comments, content = comments_of(type(config)), config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:{_comment(comments.get(name), _headline(value))}"
            yield from _lines(value, indent + "  ")
        else:
            choices = _choices(field.annotation)
            allowed = f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else None
            yield f"{indent}{name}: {_flow(content[name])}{_comment(comments.get(name), allowed)}"


def _flow(value: object) -> str:
    """Return a value as YAML on one line.

    >>> _flow(None), _flow(1e-05), _flow({"a": ["b c", True]})
    ('null', '1.0e-05', '{a: [b c, true]}')
    """
    listed: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return listed.strip().removeprefix("[").removesuffix("]")


def _comment(*sentences: str | None) -> str:
    text = "; ".join(sentence for sentence in sentences if sentence)
    return f"  # {text}" if text else ""


def _headline(config: BaseModel) -> str | None:
    return (config.__doc__ or "").partition("\n")[0].strip() or None


def _choices(annotation: Any) -> tuple[object, ...]:
    """Return the values that a field's type names.

    >>> _choices(tuple[Literal["a", "b"], ...]), _choices(int | None)
    (('a', 'b'), ())
    """
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return arguments
    return next(filter(None, map(_choices, arguments)), ())


def comments_of(cls: type[BaseModel]) -> dict[str, str]:
    """Return the comment beside each field of a class in its source, where there is one."""
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Config) and base is not Config:
            comments |= _comments_in(textwrap.dedent(inspect.getsource(base)))
    return comments


def _comments_in(source: str) -> dict[str, str]:
    r"""Return the comment on the lines of each field of a class.

    >>> _comments_in("class Window:\n    days: int = 7  # of events\n    hours: int = 0\n")
    {'days': 'of events'}
    """
    of_line = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            of_line[token.start[0]] = token.string.removeprefix("#").strip()
    comments = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            comment = " ".join(of_line[line] for line in lines if line in of_line)
            if comment:
                comments[node.target.id] = comment
    return comments
