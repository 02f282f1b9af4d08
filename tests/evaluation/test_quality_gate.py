"""The quality gate on planted ranks: a worse model is refused, an equal one passes, and chance refuses nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from redrec.evaluation.quality_gate import QualityGate, QualityGateConfig, quality_gate
from redrec.evaluation.ranking import Ranks
from redrec.evaluation.users import users_table
from redrec.folders import EvaluationFolder

NUM_USERS = 400
BASELINES = {"own_counts": 40, "recent_popularity": 60, "popularity": 80}


def planted(folder: Path, scenarios: dict[str, dict[str, int]], num_users: int = NUM_USERS) -> Path:
    """Write an evaluation in which each model's target is at a random rank up to the given one."""
    files, rng = EvaluationFolder(folder), np.random.default_rng(0)
    names = [f"user-{u}" for u in range(num_users)]
    with users_table(files.users) as write:
        for scenario, models in scenarios.items():
            constant = {"num_known": [9] * num_users, "num_known_of_scenario": [9] * num_users}
            users = {"user_id": names, "scenario": [scenario] * num_users, "slice": ["light"] * num_users} | constant
            for model, max_rank in models.items():
                rank_UT = rng.integers(1, max_rank + 1, size=(num_users, 1))
                write(users, model, Ranks(rank_UT, rank_UT, 0 * rank_UT, np.zeros(num_users)))
    files.metrics.write_text(json.dumps({"scenarios": dict.fromkeys(scenarios)}))
    return folder


def gate(folder: Path, scenarios: dict[str, dict[str, int]], **config: object) -> QualityGate:
    return quality_gate(planted(folder, scenarios), QualityGateConfig(**config))


def test_a_model_above_all_its_rivals_passes(tmp_path: Path):
    decided = gate(tmp_path, {"ads": {"redrec": 15, "live": 20, **BASELINES}})
    assert (decided.verdict, decided.scenarios["ads"].verdict) == ("pass", "pass")
    assert [rival.rival for rival in decided.scenarios["ads"].rivals] == ["live", "own_counts"]


def test_a_model_that_is_worse_than_the_live_one_in_one_scenario_is_refused(tmp_path: Path):
    good = {"redrec": 15, "live": 15, **BASELINES}
    decided = gate(tmp_path, {"feed": good, "ads": {**good, "redrec": 30}})
    assert decided.verdict == "refuse"
    assert {name: of_scenario.verdict for name, of_scenario in decided.scenarios.items()} == {
        "feed": "pass",
        "ads": "refuse",
    }
    assert "live" in decided.scenarios["ads"].reason and "worse by more than 2%" in decided.scenarios["ads"].reason
    assert "**The model is not deployed.**" in decided.markdown and "| ads | refuse |" in decided.markdown


def test_a_model_behind_the_best_that_learns_nothing_is_refused(tmp_path: Path):
    """It is above both popularities, but behind the user's own counts."""
    decided = gate(tmp_path, {"ads": {"redrec": 40, **BASELINES, "own_counts": 15}})
    assert decided.verdict == "refuse"
    assert [rival.is_behind for rival in decided.scenarios["ads"].rivals] == [True]
    assert "own_counts" in decided.scenarios["ads"].reason


def test_without_a_live_model_the_baselines_decide(tmp_path: Path):
    assert gate(tmp_path, {"ads": {"redrec": 15, **BASELINES}}).verdict == "pass"


def test_margins_and_metric_are_set(tmp_path: Path):
    """A loss inside the margin is accepted, however certain it is."""
    worse = {"ads": {"redrec": 24, "live": 15, **BASELINES, "own_counts": 18}}
    assert gate(tmp_path, worse).verdict == "refuse"
    assert gate(tmp_path, worse, live_margin=0.6, baseline_margin=0.6, metric="hit_rate@10").verdict == "pass"


def test_a_scenario_without_users_does_not_pass_and_does_not_refuse(tmp_path: Path):
    good = {"redrec": 15, **BASELINES}
    decided = gate(tmp_path, {"ads": good, "empty": {}})
    assert (decided.verdict, decided.scenarios["empty"].verdict) == ("pass", "unmeasured")
    alone = gate(tmp_path, {"empty": {}})
    assert alone.verdict == "refuse"  # no model ships unmeasured


def test_an_interval_that_is_absent_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from redrec.evaluation import quality_gate as module
    from redrec.intervals import Gain, paired_gain

    def without_interval(model_U: np.ndarray, rival_U: np.ndarray, seed: int) -> Gain:
        gain = paired_gain(model_U, rival_U, seed)
        return Gain(*(estimate.model_copy(update={"low": None, "high": None}) for estimate in gain))

    monkeypatch.setattr(module, "paired_gain", without_interval)
    decided = gate(tmp_path, {"ads": {"redrec": 80, **BASELINES}})
    assert decided.scenarios["ads"].verdict == "unmeasured"
    assert "too few for an interval" in decided.scenarios["ads"].reason


def test_chance_seldom_refuses_an_equal_model(tmp_path: Path):
    """Of 40 equal pairs, one or two are expected to look worse at the 2.5 % tail of the interval."""
    equal = {"redrec": 20, "live": 20, **BASELINES}
    decided = gate(tmp_path, {f"scenario-{i}": equal for i in range(40)})
    assert sum(of_scenario.verdict == "refuse" for of_scenario in decided.scenarios.values()) <= 4
