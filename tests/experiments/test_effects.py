"""Effects from sums equal those of tea-tasting on the users' rows, and a margin is a scaled control."""

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting
from scipy.stats import norm

from redrec.experiments.effects import aggregates, change, effect
from redrec.experiments.plan import Metric
from redrec.experiments.sums import Sums
from tests.experiments import golden

EVENTS = ("click", "impression")
RATE = Metric(event="click", per="impression")
NUM_USERS = 800


@pytest.fixture(scope="module", name="value_AUE")
def _value() -> np.ndarray:
    rng = np.random.default_rng(0)
    impression_AU = rng.poisson(10, (2, NUM_USERS)) + 1
    return np.stack([rng.binomial(impression_AU, 0.3), impression_AU], axis=2).astype(float)


def arms_of(value_AUE: np.ndarray, columns: tuple[str, ...] = EVENTS) -> list:
    sums = Sums(
        np.full((2, 1), value_AUE.shape[1]),
        value_AUE.sum(1)[:, None],
        np.einsum("aue,auf->aef", value_AUE, value_AUE)[:, None],
        np.zeros((2, 1, 3), int),
    )
    return [aggregates(sums, arm, 1, columns) for arm in (0, 1)]


@pytest.mark.parametrize("metric", [RATE, Metric(event="click")])
def test_sums_give_what_rows_give(value_AUE, metric):
    rows = {"variant": np.repeat([0, 1], NUM_USERS), "click": value_AUE[:, :, 0].ravel()}
    table = pa.table({**rows, "impression": value_AUE[:, :, 1].ravel()})
    reference = tea_tasting.Experiment(m=tea_tasting.RatioOfMeans(metric.event, metric.per, use_t=False)).analyze(table)
    arms = arms_of(value_AUE)
    ours, theirs = effect(*arms, metric), reference["m"]
    assert ours.statistic == pytest.approx(theirs.statistic)
    error = (theirs.effect_size_ci_upper - theirs.effect_size_ci_lower) / (2 * norm.isf(0.025))
    assert ours.information == pytest.approx(((theirs.control + theirs.treatment) / 2 / error) ** 2)
    seen = change(*arms, metric, 0.025)
    assert (seen.relative, seen.low) == pytest.approx(
        (reference["m"].rel_effect_size, reference["m"].rel_effect_size_ci_lower)
    )


@pytest.mark.parametrize("metric", [RATE, Metric(event="click")])
def test_a_covariate_gives_what_tea_tasting_gives_and_narrows_the_error(metric):
    rng = np.random.default_rng(1)
    activity_U, appeal_U = rng.gamma(2, 5, 2 * NUM_USERS), rng.beta(2, 6, 2 * NUM_USERS)
    impressions = [rng.poisson(activity_U) + 1 for _ in range(2)]  # before the start, and since
    clicks = [rng.binomial(shown_U, appeal_U) for shown_U in impressions]
    columns = {
        "click": clicks[1],
        "impression": impressions[1],
        "click before": clicks[0],
        "impression before": impressions[0],
    }
    arms = arms_of(np.stack(list(columns.values()), axis=1).astype(float).reshape(2, NUM_USERS, 4), tuple(columns))
    covariate = Metric(event="click before", per="impression before" if metric.per else None)
    names = (covariate.event, covariate.per)
    reference = tea_tasting.RatioOfMeans(metric.event, metric.per, *names, use_t=False)
    table = pa.table({"variant": np.repeat([0, 1], NUM_USERS), **columns})
    theirs = tea_tasting.Experiment(m=reference).analyze(table)["m"]
    ours, seen = effect(*arms, metric, covariate), change(*arms, metric, 0.025, covariate)
    assert ours.statistic == pytest.approx(theirs.statistic)
    assert (seen.relative, seen.low) == pytest.approx((theirs.rel_effect_size, theirs.rel_effect_size_ci_lower))
    assert ours.information > 1.3 * effect(*arms, metric).information


def test_a_covariate_that_no_user_has_changes_nothing(value_AUE):
    value_AUE = np.concatenate([value_AUE, np.zeros((2, NUM_USERS, 2))], axis=2)
    arms = arms_of(value_AUE, (*EVENTS, "click before", "impression before"))
    covariate = Metric(event="click before", per="impression before")
    assert effect(*arms, RATE, covariate) == effect(*arms, RATE)
    assert change(*arms, RATE, 0.05, covariate) == change(*arms, RATE, 0.05)


def test_the_margin_is_a_scaled_control(value_AUE):
    scaled_AUE = value_AUE.copy()
    scaled_AUE[0, :, 0] *= 0.9
    expected = effect(*arms_of(scaled_AUE), RATE)
    assert effect(*arms_of(value_AUE), RATE, margin=0.1) == pytest.approx(expected)


def test_the_statistic_is_positive_where_the_treatment_is_better(value_AUE):
    arms = arms_of(value_AUE)
    hides = Metric(event="click", per="impression", direction="down")
    assert effect(*arms, hides).statistic == -effect(*arms, RATE).statistic


def test_users_who_do_not_differ_cannot_be_tested():
    assert effect(*arms_of(np.ones((2, NUM_USERS, 2))), RATE) is None


def test_the_information_is_relative(value_AUE):
    """Twice as many clicks of everybody say as much."""
    doubled_AUE = value_AUE * [2.0, 1.0]
    assert effect(*arms_of(doubled_AUE), RATE).information == pytest.approx(
        effect(*arms_of(value_AUE), RATE).information
    )


METRICS = {"click": Metric(event="click"), "click/impression": RATE}


@pytest.fixture(scope="module", name="arms")
def _arms() -> list:
    users, click, impression, click_2, impression_2, product = np.array(golden.ARMS, float).T
    products = np.stack([np.stack([click_2, product], 1), np.stack([product, impression_2], 1)], 1)[:, None]
    sums = Sums(users[:, None], np.stack([click, impression], 1)[:, None], products, np.zeros((2, 1, 3), int))
    return [aggregates(sums, arm, 1, ("click", "impression")) for arm in (0, 1)]


@pytest.mark.parametrize("name", METRICS)
def test_statistics_and_intervals_equal_those_of_gbstats(arms, name):
    difference, low, high = golden.values()["gbstats"][f"{name} absolute"]
    error = (high - low) / (2 * norm.isf(0.025))  # its quantile is Student's: with 40,000 users 6e-5 more
    assert effect(*arms, METRICS[name]).statistic == pytest.approx(difference / error, rel=2e-4)
    relative, low, high = golden.values()["gbstats"][f"{name} relative"]
    seen = change(*arms, METRICS[name], 0.025)
    assert seen.relative == pytest.approx(relative, rel=1e-9)
    assert (seen.low, seen.high) == pytest.approx((low, high), abs=1e-3)  # ours is not symmetric around the change
