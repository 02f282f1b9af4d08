"""Ledgers: lines are added once, a changed plan is seen, and a broken line is named."""

from datetime import UTC, datetime

import pytest

from redrec.config import InputError
from redrec.experiments.gate import decide_log
from redrec.experiments.ledger import Entry, append, plan_fault, read_ledger, replay
from tests.experiments.worlds import planned, world

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def entry(seed=1, **changes) -> Entry:
    plan = planned(**changes)
    return Entry(decided_at=NOW, until=NOW, plan=plan, result=decide_log(world(seed, plan, num_users=500), plan))


def test_an_entry_is_read_as_it_was_and_added_once(tmp_path):
    path = tmp_path / "ledger.jsonl"
    one, other = entry(1), entry(2)
    assert read_ledger(path) == []
    assert [append(path, one), append(path, other), append(path, one)] == [True, True, False]
    assert read_ledger(path) == [one, other]


def test_another_plan_of_the_same_experiment_is_named():
    begun = [entry()]
    assert plan_fault(begun, planned()) is None
    assert plan_fault(begun, planned(coverage=0.5)) is None
    assert plan_fault([], planned(alpha=0.1)) is None
    fault = plan_fault(begun, planned(alpha=0.1, min_users=50))
    assert "differs from that of 2026-11-20 in alpha, min_users" in fault


def test_a_replay_tells_other_data_from_another_decision():
    one = entry()
    same, other = replay([one], lambda plan, until: one.result), replay([one], lambda plan, until: entry(2).result)
    changed = one.result.model_copy(update={"verdict": "promote"})
    (differs,) = replay([one], lambda plan, until: changed)
    assert [same[0].comparison, other[0].comparison, differs.comparison] == ["the same", "other data", "differs"]


def test_a_line_that_is_no_entry_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, entry())
    path.write_text(path.read_text() + '{"plan": 1}\n')
    with pytest.raises(InputError, match=r"ledger\.jsonl, line 2 is no entry of a ledger"):
        read_ledger(path)
