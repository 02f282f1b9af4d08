"""Effects from sums equal those of tea-tasting on the users' rows, and a margin is a scaled control."""

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting

from redrec.experiments.effects import aggregates, change, effect
from redrec.experiments.plan import Metric
from redrec.experiments.sums import Sums

EVENTS = ("click", "impression")
RATE = Metric(event="click", per="impression")
NUM_USERS = 800


@pytest.fixture(scope="module", name="value_AUE")
def _value() -> np.ndarray:
    rng = np.random.default_rng(0)
    impression_AU = rng.poisson(10, (2, NUM_USERS)) + 1
    return np.stack([rng.binomial(impression_AU, 0.3), impression_AU], axis=2).astype(float)


def arms_of(value_AUE: np.ndarray) -> list:
    sums = Sums(
        np.full((2, 1), value_AUE.shape[1]),
        value_AUE.sum(1)[:, None],
        np.einsum("aue,auf->aef", value_AUE, value_AUE)[:, None],
        np.zeros((2, 1, 3), int),
    )
    return [aggregates(sums, arm, 1, EVENTS) for arm in (0, 1)]


@pytest.mark.parametrize("metric", [RATE, Metric(event="click")])
def test_sums_give_what_rows_give(value_AUE, metric):
    rows = {"variant": np.repeat([0, 1], NUM_USERS), "click": value_AUE[:, :, 0].ravel()}
    table = pa.table({**rows, "impression": value_AUE[:, :, 1].ravel()})
    reference = tea_tasting.Experiment(m=tea_tasting.RatioOfMeans(metric.event, metric.per, use_t=False)).analyze(table)
    arms = arms_of(value_AUE)
    assert effect(*arms, metric).statistic == pytest.approx(reference["m"].statistic)
    seen = change(*arms, metric, 0.025)
    assert (seen.relative, seen.low) == pytest.approx(
        (reference["m"].rel_effect_size, reference["m"].rel_effect_size_ci_lower)
    )


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
