import pytest

from redrec.prefetch import prefetch


def failing():
    yield 1
    raise ValueError("no second value")


def test_an_error_in_making_a_value_is_raised_in_its_turn():
    values = prefetch(failing())
    assert next(values) == 1
    with pytest.raises(ValueError, match="no second value"):
        next(values)
