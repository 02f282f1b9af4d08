"""A log of a time before: nothing differs between its arms, and a planted effect does."""

from datetime import timedelta
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.data.tables import connect
from redrec.experiments.gate import decide_log
from redrec.experiments.history import moved, read_history
from redrec.experiments.plan import Plan
from tests.experiments.logs import START, planned, simulated, written

LATER = START + timedelta(days=60)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(simulated(5, planned(days=9), num_users=3_000), tmp_path_factory.mktemp("past"))[1]


@pytest.fixture(scope="module")
def plan(outcomes: Path) -> Plan:
    return moved(planned(start=LATER, coverage=0.1), outcomes, connect())


def test_the_plan_moves_to_the_last_whole_days_of_the_log(plan):
    assert (plan.start, plan.days, plan.coverage) == (START + timedelta(days=1), 7, 1.0)


def test_a_log_as_long_as_the_plan_is_taken_whole(outcomes):
    assert moved(planned(days=9, start=LATER), outcomes, connect()).start == START


def test_other_runs_have_other_arms_and_no_effect(outcomes, plan):
    results = [decide_log(read_history(outcomes, plan, run=run), plan) for run in range(3)]
    assert len({result.input_digest for result in results}) == 3
    for result in results:
        assert {decision.verdict for decision in result.scenarios.values()} == {"hold"}
        assert all(sum(decision.users.values()) > 2_500 for decision in result.scenarios.values())


def test_a_planted_effect_is_what_the_gate_then_sees(outcomes, plan):
    result = decide_log(read_history(outcomes, plan, {"ads": 0.4}), plan)
    ads = result.scenarios["ads"].metrics["click/impression"]
    assert ads.low < 0.4 < ads.high
    assert result.scenarios["ads"].verdict == "promote"
    assert result.scenarios["search"].verdict == "hold"


def test_a_log_that_is_shorter_than_the_plan_is_refused(outcomes):
    with pytest.raises(InputError, match="the plan has 14 days. Give a longer log"):
        moved(planned(days=14), outcomes, connect())
