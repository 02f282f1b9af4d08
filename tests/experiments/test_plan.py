"""Plans: what is refused, when a promotion may be decided, and what the hash covers."""

import pytest
from pydantic import ValidationError

from redrec.experiments.plan import Arm, Guardrail, Metric
from tests.experiments.logs import planned


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control": Arm(name="control", weight=0.8)}, "weights that sum to 1"),
        ({"treatment": Arm(name="control")}, "two names"),
        ({"scenarios": ("ads", "ads")}, "a scenario is named twice"),
        ({"looks": (7, 8)}, "looks are days in ascending order, at most 7"),
        ({"looks": (5, 5)}, "looks are days in ascending order"),
        ({"guardrails": (Guardrail(event="click", margin=0.1),)}, "a metric is named twice: click/impression, click"),
        ({"start": "2026-11-02T00:00:00"}, "timezone"),
        ({"alpha": 0.6}, "less than 0.5"),
        ({"harm_alpha": 0.0}, "greater than 0"),
        ({"max_both_arms_share": 1.0}, "less than 1"),
        ({"attribution_hours": 0}, "greater than 0"),
        ({"watermark_hours": -1}, "greater than or equal to 0"),
        ({"min_users": 0}, "greater than 0"),
        ({"min_events": 0}, "greater than 0"),
        ({"volume_margin": 0}, "greater than 0"),
        ({"applies": "some"}, "per_scenario"),
        ({"coverage": 1.1}, "less than or equal to 1"),
        ({"namespace": {"name": "retrieval", "low": 0.5, "high": 0.5}}, "low is below high"),
    ],
)
def test_a_plan_that_cannot_be_decided_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        planned(**changes)


def test_the_hash_covers_all_but_the_coverage():
    assert planned().hash() == planned(coverage=0.1).hash()
    changed = [{"alpha": 0.01}, {"treatment": Arm(name="new")}, {"watermark_hours": 1}, {"scenarios": ("ads",)}]
    assert len({planned(**one).hash() for one in changed} | {planned().hash()}) == 5


def test_the_volume_of_a_ratio_is_a_guardrail_and_of_a_mean_the_primary_itself():
    assert [metric.name for metric in planned().metrics] == ["click/impression", "click", "hide/impression"]
    assert [metric.name for metric in planned(primary=Metric(event="click")).metrics] == ["click", "hide/impression"]


def test_a_promotion_is_decided_on_whole_weeks_or_as_the_plan_says():
    assert planned(days=21).promotion_days == (7, 14, 21)
    assert planned(days=21, looks=(10, 21)).promotion_days == (10, 21)


def test_seeds_end_in_a_colon():
    assert planned().seed("ads") == "towers-2:ads:"
    assert planned(applies="shared").seed("ads") == "towers-2:"
