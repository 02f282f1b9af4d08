"""Frames: users in rows, by hand, and the columns that no plot can show."""

import ibis
import pyarrow as pa
import pytest

from monitoring import frames
from monitoring.frames import scenario_frames
from redrec.drift.logs import Logs
from tests.monitoring.logs import HOSTILE, NAMES, events, logs_of


def rows(**columns) -> pa.Table:
    num = len(next(iter(columns.values())))
    return pa.table({"user_id": ["u"] * num, "item_id": ["i"] * num, "scenario": ["ads"] * num} | columns)


def logs_with(kind: str, reference: list, current: list, users: list | None = None) -> Logs:
    arrow_types = {"numeric": pa.float64(), "categorical": pa.string()}
    tables = []
    for values in (reference, current):
        others = {"user_id": users} if users else {}
        tables.append(ibis.memtable(rows(column=pa.array(values, arrow_types[kind]), **others)))
    return Logs(*tables, {"column": kind})


def test_a_number_is_the_mean_over_a_users_events_and_a_category_the_most_frequent_one():
    log = rows(user_id=["a", "a", "a", "b"], x=[1.0, 2.0, 6.0, 5.0], kind=["p", "q", "q", None])
    frame = scenario_frames(
        Logs(ibis.memtable(log), ibis.memtable(log), {"x": "numeric", "kind": "categorical"}), "ads"
    ).current
    assert sorted(frame.itertuples(index=False, name=None)) == [(1, 5.0, "(none)"), (3, 3.0, "q")]


def test_only_the_scenarios_own_events_are_counted():
    assert set(scenario_frames(logs_of(events(0), events(1)), NAMES[0]).current["num_events"]) == {10}


def test_many_users_are_a_sample_that_is_the_same_in_every_run(monkeypatch):
    monkeypatch.setattr(frames, "MAX_USERS", 20)
    logs = logs_of(events(0), events(1))
    first, again = scenario_frames(logs, "ads").current, scenario_frames(logs, "ads").current
    assert len(first) == 20
    assert first.equals(again)


def test_rare_categories_of_the_reference_are_one_level():
    many = [f"c{number:02}" for number in range(12)]
    logs = logs_with("categorical", many, ["c00", "new"] * 6, [f"u{number}" for number in range(12)])
    frames = scenario_frames(logs, "ads")
    assert set(frames.reference["column"]) == {*many[:8], "(rest)"}
    assert set(frames.current["column"]) == {"c00", "(rest)"}


def test_an_infinite_value_is_left_out_of_a_mean():
    frames = scenario_frames(logs_with("numeric", [1.0, 3.0], [1.0, float("inf")]), "ads")
    assert frames.current["column"].tolist() == [1.0]


@pytest.mark.parametrize("empty", [[None, None], [float("nan"), float("inf")]])
def test_a_number_without_a_value_in_a_window_is_left_out(empty: list):
    frames = scenario_frames(logs_with("numeric", [1.0, 3.0], empty), "ads")
    assert frames.numeric == ["num_events"]
    assert list(frames.current.columns) == ["num_events"]


def test_a_scenario_without_users_in_a_window_has_none_to_plot():
    logs = logs_of(events(0), events(1).slice(0, 0))
    assert not scenario_frames(logs, "ads").has_users


def test_names_and_categories_begin_no_tag():
    frames = scenario_frames(logs_of(events(0), events(1)), "ads")
    texts = [*frames.current.columns, *frames.current["category"], *frames.reference["category"]]
    assert any(HOSTILE[-5:-1] in text for text in texts)
    assert "<" not in "".join(texts)


def test_vectors_are_left_out():
    log = ibis.memtable(rows(embedding=[[1.0, 2.0]]))
    assert scenario_frames(Logs(log, log, {"embedding": "vector"}), "ads").numeric == ["num_events"]
