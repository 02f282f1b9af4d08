"""Actions: two of three windows that do not overlap start a training, once; broken data never does."""

import pytest

from redrec.config import InputError, validated
from redrec.drift.actions import MAX_NAME, next_step, run_name, with_actions
from redrec.drift.config import DriftConfig
from redrec.drift.history import DriftHistory, StartedTraining
from redrec.drift.verdicts import Drift
from tests.drift.results import NOW, column, scenario, span, window


def acted(*windows: Drift, trained: float | None = None, **config: int) -> Drift:
    """Return the last window with the actions that follow from those before; a training was of the week from day `trained`."""
    history = DriftHistory()
    for one in windows:
        history = history.with_window(one)
    if trained is not None:
        history = history.with_training(StartedTraining(window=span(trained), started_at=NOW, reason="retrain"))
    return with_actions(windows[-1], history, DriftConfig(**config))


def action(*windows: Drift, trained: float | None = None, **config: int) -> str:
    return acted(*windows, trained=trained, **config).scenarios["ads"].action


def weeks(*verdicts: str) -> list[Drift]:
    return [window(7 * number, ads=verdict) for number, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("stable", "none"),
        ("insufficient", "wait"),
        ("missing", "check_data"),
        ("volume", "check_data"),
        ("drift", "watch"),
    ],
)
def test_a_first_window_has_the_action_of_its_verdict(verdict: str, expected: str):
    assert action(*weeks(verdict)) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["drift", "drift"], "retrain"),
        (["drift", "stable", "drift"], "retrain"),
        (["drift", "insufficient", "drift"], "retrain"),
        (["drift", "stable", "stable", "drift"], "watch"),
        (["drift", "drift", "stable"], "none"),
        (["stable", "missing", "drift"], "watch"),
    ],
)
def test_two_of_the_three_newest_windows_start_a_training(verdicts: list[str], expected: str):
    assert action(*weeks(*verdicts)) == expected


def test_drift_in_another_scenario_does_not_count():
    assert action(window(0, ads="stable", search="drift"), window(7, ads="drift", search="stable")) == "watch"
    assert action(window(0, search="drift"), window(7, ads="drift", search="stable")) == "watch"


def test_windows_of_a_daily_run_count_if_they_follow_each_other():
    """An unusual day is in seven of them."""
    daily = [window(day, ads="drift") for day in range(8)]
    assert action(*daily[:7]) == "watch"
    assert action(*daily) == "retrain"


@pytest.mark.parametrize(("day", "expected"), [(6.2, "watch"), (6.4, "retrain"), (7.5, "retrain")])
def test_a_tenth_of_a_window_may_overlap(day: float, expected: str):
    assert action(window(0, ads="drift"), window(day, ads="drift")) == expected


def test_a_repeated_run_decides_the_same_again():
    windows = weeks("drift", "drift")
    once = acted(*windows)
    again = acted(windows[0], once, trained=7)
    assert once == again
    assert again.scenarios["ads"].action_reason == "ads category drifted in 2 of 3 windows"


@pytest.mark.parametrize(("day", "expected"), [(9, "wait"), (13.9, "wait"), (14, "watch"), (21, "retrain")])
def test_a_training_answers_the_windows_before_it_and_the_next_waits(day: float, expected: str):
    """Two windows that begin after its end must drift; `trained` is the week that ends on day 14."""
    before = weeks("drift", "drift")
    after = [window(14, ads="drift")] if day > 14 else []
    assert (
        action(*before, *after, window(day, ads="drift"), trained=7, retrain_windows=2 if day >= 14 else 1) == expected
    )


def test_a_long_cool_down_is_said_with_its_reason():
    windows = [*weeks("drift", "drift"), window(14, ads="drift"), window(21, ads="drift")]
    ads = acted(*windows, trained=7, cool_down_days=15).scenarios["ads"]
    assert ads.action == "wait"
    assert ads.action_reason.endswith("but a training began after the window to 2026-01-19, and the next waits 15 days")
    assert action(*windows, trained=7, cool_down_days=14) == "retrain"


@pytest.mark.parametrize("verdict", ["nulls", "infinite", "empty", "mixed", "range"])
def test_broken_values_are_checked_and_never_trained_on(verdict: str):
    broken = scenario("drift", category=column(), score=column(verdict))
    drift = acted(window(0, ads="drift"), window(7, ads=broken))
    assert (drift.scenarios["ads"].action, next_step(drift, True)) == ("check_data", "drift")
    assert drift.scenarios["ads"].action_reason == "look at the values of score"
    assert action(window(0, ads=broken), window(7, ads="drift")) == "watch"


def test_broken_data_of_one_scenario_holds_the_training_of_another_back():
    drift = acted(window(0, ads="drift", search="stable"), window(7, ads="drift", search="missing"))
    assert (drift.scenarios["ads"].action, next_step(drift, True)) == ("wait", "drift")
    assert "not before the data of search is checked" in drift.scenarios["ads"].action_reason


def test_how_many_windows_start_a_training_can_be_set():
    assert action(*weeks("drift"), retrain_windows=1) == "retrain"
    assert action(*weeks("drift", "drift"), retrain_windows=3) == "watch"
    assert action(*weeks("drift", "stable", "stable", "drift"), of_windows=4) == "retrain"
    with pytest.raises(InputError, match="retrain_windows is 4 of 3 windows: give at most of_windows"):
        validated(DriftConfig, {"retrain_windows": 4}, "recipe")


def test_the_next_step_is_a_training_only_if_one_is_requested():
    drift = acted(*weeks("drift", "drift"))
    assert (next_step(drift, True), next_step(drift, False)) == ("train", "drift")
    assert next_step(acted(*weeks("drift")), True) == "drift"
    assert next_step(acted(window(0, ads="stable", search="insufficient")), True) == "stable"


def test_the_name_of_the_run_holds_the_reason():
    with_interests = scenario("drift", category=column(), score=column()).model_copy(update={"interests": column()})
    drift = acted(window(0, ads="drift", search="drift"), window(7, ads="drift", search=with_interests))
    assert run_name(acted(*weeks("drift", "drift"))) == "retrain: ads category drifted in 2 of 3 windows, to 2026-01-19"
    assert (
        run_name(drift)
        == (
            "retrain: ads category drifted in 2 of 3 windows; search category, score and interests drifted in 2 of 3 windows"
        )[: MAX_NAME - 16]
        + "…, to 2026-01-19"
    )
    long = scenario("drift", **{"x" * 200: column()})
    assert len(run_name(acted(*weeks("drift"), window(7, ads=long)))) == MAX_NAME
