"""Power against the gate itself, on generated experiments, and what it says of margins and users."""

import numpy as np
import pytest

from redrec.experiments.gate import decide_log, views_of
from redrec.experiments.plan import Guardrail
from redrec.experiments.power import power
from tests.experiments.worlds import Planted, planned, world

LOOSE = Guardrail(event="hide", per="impression", direction="down", margin=0.5)
PLAN = planned(guardrails=(LOOSE,), volume_margin=0.1)


def predicted(effect, num_users=None, plan=PLAN):
    return power(views_of(world(0, plan, 6_000), plan)["homefeed"], effect, plan.alpha / 3, num_users)


def test_the_gate_promotes_as_often_as_predicted():
    seen = []
    for seed in range(30):
        result = decide_log(world(seed, PLAN, 4_000, {"homefeed": Planted(click=0.12)}), PLAN)
        seen.append(result.scenarios["homefeed"].verdict == "promote")
    users = predicted(0.12).users * 4_000 // 6_000
    expected = predicted(0.12, users).power
    assert 0.3 < expected < 0.9
    assert np.mean(seen) == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / len(seen)))


def test_without_an_effect_the_power_is_the_level():
    assert predicted(0.0).alone["click/impression"] == pytest.approx(PLAN.alpha / 3, abs=0.006)


def test_power_grows_with_the_users_and_the_smallest_effect_falls():
    few, many = predicted(0.1, 3_000), predicted(0.1, 30_000)
    assert few.power < many.power
    assert many.smallest_effect < 0.6 * few.smallest_effect
    assert predicted(many.smallest_effect, 30_000).power == pytest.approx(0.8, abs=0.02)


def test_a_narrow_margin_costs_what_the_metric_alone_would_have():
    narrow = predicted(0.15, plan=planned(guardrails=(LOOSE.model_copy(update={"margin": 0.05}),), volume_margin=0.1))
    assert narrow.alone["click/impression"] > 0.7
    assert narrow.power < 0.3
    assert narrow.smallest_effect is None
