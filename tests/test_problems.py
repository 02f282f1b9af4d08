"""Problems: the keys of the right section are listed, and a value that was seen is shown, however deep."""

import pytest

from redrec.config import Config, InputError, validated
from redrec.problems import model_at


class Window(Config):
    days: int = 7


class Shape(Config):
    kind: str


class Circle(Shape):
    kind: str = "circle"
    radius: float = 1


class Drawing(Config):
    windows: tuple[Window, ...] = ()
    named: dict[str, Window] | None = None
    shape: Shape | None = None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"windows": [{}, {"day": 1}]},
            "windows.1.day: unknown key, did you mean days[?] Allowed keys of windows.1: days[.]",
        ),
        ({"named": {"a": {"x": 1}}}, "named.a.x: unknown key[.] Allowed keys of named.a: days[.]"),
        ({"shape": {}}, "shape.kind: missing[.] Allowed keys of shape: kind[.]"),
        ({"named": {"a": {"days": "many"}}}, "days: Input should be a valid integer.*, not 'many'[.]"),
        ({"named": {"a": {"days": [1]}}}, "days: Input should be a valid integer[.]"),
        ({"a": 1, "b": 2}, "a: unknown key; b: unknown key[.] Allowed keys: windows, named, shape[.]"),
    ],
)
def test_a_problem_is_one_line_with_the_keys_of_its_section(content: dict[str, object], message: str):
    with pytest.raises(InputError, match=f"^d.yaml: .*{message}$"):
        validated(Drawing, content, "d.yaml")


def test_a_long_value_is_cut():
    with pytest.raises(InputError) as error:
        validated(Window, {"days": "9x" * 5000}, "w.yaml")
    assert len(str(error.value)) < 200


def test_the_keys_of_a_registered_kind_are_its_own():
    assert model_at(Drawing, {"shape": {"kind": "circle"}}, ["shape"]) is Circle
    assert model_at(Drawing, {"shape": {"kind": "cube"}}, ["shape"]) is Shape
    assert model_at(Drawing, {}, ["nosuch"]) is Drawing
