"""Columns: numbers, levels and vectors are compared; ids and times are not; a change of type is seen."""

import ibis
import pytest

from redrec.data import columns as c
from redrec.drift.columns import columns_of, typed

NUM = 40


def table(**columns) -> ibis.Table:
    times = [f"2026-01-{1 + number % 28:02} 10:00:00" for number in range(NUM)]
    return ibis.memtable({"timestamp": times, **columns}).mutate(timestamp=ibis._.timestamp.cast("timestamp"))


def types(reference: ibis.Table, current: ibis.Table) -> dict[str, str]:
    return columns_of(reference, current, [c.TIMESTAMP]).types


def test_each_type_is_compared_in_its_way_and_ids_not_at_all():
    log = table(
        score=[0.5] * NUM,
        position=list(range(NUM)),
        action=["click", "like"] * (NUM // 2),
        is_new=[True, False] * (NUM // 2),
        vector=[[0.1, 0.2]] * NUM,
        request_id=[f"r{number}" for number in range(NUM)],
        words=[["a", "b"]] * NUM,
    )
    assert types(log, log) == {
        "score": "numeric",
        "position": "numeric",
        "action": "categorical",
        "is_new": "categorical",
        "vector": "vector",
    }


def test_a_column_of_the_reference_alone_is_compared_and_one_of_the_current_log_alone_is_not():
    assert types(table(score=[1.0] * NUM), table(other=[1.0] * NUM)) == {"score": "numeric"}


def test_numbers_that_become_partly_texts_are_mixed():
    numbers, texts = table(score=[1.0, 2.0] * (NUM // 2)), table(score=["1.0", "none"] * (NUM // 2))
    columns = columns_of(numbers, texts, [c.TIMESTAMP])
    assert (columns.types, columns.mixed) == ({"score": "numeric"}, frozenset({"score"}))
    assert columns_of(numbers, numbers, [c.TIMESTAMP]).mixed == frozenset()
    assert typed(texts, columns.types, [])["score"].to_pyarrow().to_pylist()[:2] == [1.0, None]


@pytest.mark.parametrize(("name", "kind"), [("price", "numeric"), ("category", "categorical")])
def test_texts_of_a_file_without_types_are_numbers_unless_they_name_a_category(name, kind):
    log = ibis.memtable({"timestamp": ["2026-01-01"] * NUM, name: ["1", "2"] * (NUM // 2)})
    assert types(log, log) == {name: kind}


def test_values_that_are_no_number_and_empty_texts_are_null():
    log = table(score=[float("nan"), 1.0] * (NUM // 2), action=["", "like"] * (NUM // 2))
    values = typed(log, {"score": "numeric", "action": "categorical", "gone": "numeric"}, []).to_pyarrow()
    assert values.slice(0, 2).to_pylist() == [
        {"score": None, "action": None, "gone": None},
        {"score": 1.0, "action": "like", "gone": None},
    ]
