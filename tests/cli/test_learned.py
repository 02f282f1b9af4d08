"""The sentence of a run: it counts what has an interval above zero, and nothing else."""

from typing import Any

from cli.learned import learned_text


def estimate(value: float | None, low: float | None) -> dict[str, dict[str, Any]]:
    return {"hit_rate@10": {"value": value, "low": low, "high": None if low is None else 1.0, "users": 50}}


def metrics(feed_gain: float, ads_gain: float | None, help_of_feed: float, help_of_ads: float) -> dict[str, Any]:
    """`own_counts` is the best baseline of the feed, `popularity` that of the ads; ads may have too few users."""
    return {
        "scenarios": {
            "feed": {"redrec": estimate(0.5, 0.4), "own_counts": estimate(0.4, 0.3), "popularity": estimate(0.1, 0.0)},
            "ads": {"redrec": estimate(0.2, 0.1), "own_counts": estimate(0.1, 0.0), "popularity": estimate(0.15, 0.1)},
        },
        "gains": {
            "feed": {
                "redrec_without_ranker": estimate(-0.9, -1.0),
                "own_counts": estimate(0.1, feed_gain),
                "popularity": estimate(0.4, 0.3),
            },
            "ads": {"own_counts": estimate(0.1, 0.05), "popularity": estimate(0.05, ads_gain)},
        },
        "scenario_value": {
            "feed": {"feed": estimate(0.4, 0.3), "ads": estimate(0.03, help_of_ads)},
            "ads": {"feed": estimate(0.07, help_of_feed), "ads": estimate(0.1, 0.05)},
        },
    }


def test_gains_over_the_best_baseline_and_the_greatest_help_are_named():
    text = learned_text(metrics(feed_gain=0.02, ads_gain=0.01, help_of_feed=0.01, help_of_ads=0.01))
    assert "in 2 of 2 scenarios (feed +0.100 over own_counts, ads +0.050 over popularity)" in text
    assert "the events of feed help ads most, which loses 0.070 without them" in text


def test_what_has_no_interval_above_zero_is_not_counted():
    text = learned_text(metrics(feed_gain=0.02, ads_gain=None, help_of_feed=-0.01, help_of_ads=0.01))
    assert "in 1 of 2 scenarios (feed +0.100 over own_counts)" in text
    assert "the events of ads help feed most, which loses 0.030 without them" in text


def test_a_model_that_learned_nothing_is_said_to():
    text = learned_text(metrics(feed_gain=-0.1, ads_gain=0.0, help_of_feed=0.0, help_of_ads=-0.1))
    assert "in 0 of 2 scenarios, and no scenario's events are shown to help another one" in text


def test_a_scenario_without_users_is_left_out():
    without = metrics(feed_gain=0.02, ads_gain=None, help_of_feed=0.0, help_of_ads=0.0)
    for models in (without["scenarios"]["ads"], without["gains"]["ads"]):
        models.update({model: estimate(None, None) for model in models})
    assert "in 1 of 2 scenarios (feed" in learned_text(without)
