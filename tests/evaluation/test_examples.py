"""Examples: the shown history, and the recommendations with their hits."""

import numpy as np

from redrec.data.histories import TEST
from redrec.data.items import descriptions, is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import cases_of
from redrec.evaluation.examples import examples
from redrec.evaluation.scorers import Scorer
from tests.data.test_histories import histories_of


def shown_users(tmp_path, events) -> list[dict]:
    """Items are axes, and every user's only interest is item i9."""
    histories = histories_of(tmp_path, events, split="leave_last_out")
    vocabulary = read_vocabulary(tmp_path / "data")
    items = tmp_path / "data" / "items.parquet"
    scenarios = range(len(vocabulary.scenarios))
    cases = {s: cases_of(histories, s, TEST, num_targets=5, max_users=9, seed=0) for s in scenarios}
    scorer = Scorer(lambda users, s, moment_ms_B: np.tile(np.eye(10)[9], (len(users), 1, 1)), np.eye(10))
    return examples(scorer, histories, cases, vocabulary, is_allowed(items, vocabulary.scenarios), descriptions(items))


def test_the_best_item_is_recommended_and_is_a_hit_if_it_is_a_target(tmp_path):
    (user,) = shown_users(tmp_path, [("a", f"i{n}", "feed" if n == 0 else "ads", n) for n in range(10)])
    item = {"item_id": "i9", "title": "i9", "category": None}
    best = {scenario: items[0] for scenario, items in user["recommended"].items()}
    assert best == {
        "ads": item | {"score": 1.0, "hit": True},
        "feed": item | {"score": 1.0, "hit": False},
    }


def test_the_history_is_newest_first_and_has_every_scenario(tmp_path):
    events = [("a", "i1", "feed", 0), *(("a", f"i{n % 10}", "ads", n) for n in range(1, 20))]
    (user,) = shown_users(tmp_path, events)
    assert [event["title"] for event in user["history"]] == [f"i{n % 10}" for n in range(18, 12, -1)] + ["i1"]
    assert user["history"][-1]["scenario"] == "feed"


def test_the_history_of_a_user_of_many_scenarios_is_no_longer_than_that_of_others(tmp_path):
    events = [("a", f"i{n % 10}", f"scenario-{n % 8}", n) for n in range(40)]
    (user,) = shown_users(tmp_path, events)
    assert len(user["history"]) == 8
