"""Acting on a ConfigMap: dry or once, and from the newest state if another writer was faster."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from redrec.experiments.decisions import Decision, Result
from serving.mapped_allocation import MAX_TRIES, act_on_map, read_map
from tests.experiments.logs import planned
from tests.serving.config_map_api import NAME, ConfigMapApi, config_map_api

START = Allocation(plan=planned())
DECISION = Decision(
    verdict="promote", rule="any", reason="as planted", look=7, users={"control": 300, "treatment": 300}
)
RESULT = Result(
    experiment=START.plan.experiment,
    plan_hash=START.plan_hash,
    input_digest="0",
    through=START.plan.start + timedelta(days=7),
    look=7,
    verdict="hold",
    scenarios={"ads": DECISION},
)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigMapApi]:
    with config_map_api(START, tmp_path, monkeypatch) as api:
        yield api


def test_a_dry_run_says_what_changes_and_changes_nothing(api: ConfigMapApi):
    assert "ads: users are split, now all users get treatment" in act_on_map(NAME, RESULT, is_applied=False)
    assert (api.version, read_map(NAME)) == (1, START)


def test_a_result_changes_the_map_once(api: ConfigMapApi):
    assert act_on_map(NAME, RESULT, is_applied=True) != []
    assert (api.version, api.allocation.serves, api.data["other"]) == (2, {"ads": "treatment"}, "stays")
    assert act_on_map(NAME, RESULT, is_applied=True) == []
    assert api.version == 2


def test_a_change_that_another_writer_overtakes_is_made_from_the_new_state(api: ConfigMapApi):
    half = START.plan.model_copy(update={"coverage": 0.5})
    api.others = [lambda: api.write(Allocation(plan=half, serves={"search": "control"}))]
    act_on_map(NAME, RESULT, is_applied=True)
    assert api.allocation.plan.coverage == 0.5
    assert api.allocation.serves == {"search": "control", "ads": "treatment"}


def test_a_writer_who_never_rests_is_named_as_the_reason(api: ConfigMapApi):
    api.others = [lambda: api.write(START) for _ in range(MAX_TRIES)]
    with pytest.raises(InputError, match="changed by others 10 times in a row"):
        act_on_map(NAME, RESULT, is_applied=True)
    assert api.allocation == START


def test_a_result_of_another_plan_is_refused_and_leaves_the_map(api: ConfigMapApi):
    api.write(Allocation(plan=planned(alpha=0.01)))
    with pytest.raises(InputError, match="Give the result of this plan"):
        act_on_map(NAME, RESULT, is_applied=True)
    assert api.version == 2


def test_content_that_is_no_allocation_is_refused_with_the_name(api: ConfigMapApi):
    api.data = dict.fromkeys(api.data, "plan: {}")
    with pytest.raises(InputError, match="configmap:arms/shop: plan.experiment"):
        read_map(NAME)
