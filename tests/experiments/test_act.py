"""Acting: a dry run says what changes, applying it twice changes nothing more, and an error leaves the file."""

import pytest

from redrec.config import InputError, load_config
from redrec.experiments.act import act
from redrec.experiments.allocation import Allocation
from redrec.experiments.gate import decide_log
from redrec.experiments.plan import Guardrail
from redrec.folders import write_json
from tests.experiments.worlds import Planted, planned, world

LOOSE = Guardrail(event="hide", per="impression", direction="down", margin=0.5)
PLAN = planned(guardrails=(LOOSE,), volume_margin=0.3, min_users=50)


@pytest.fixture(scope="module")
def result():
    return decide_log(world(1, PLAN, 4_000, {"homefeed": Planted(click=0.5), "ads": Planted(click=-0.6)}), PLAN)


@pytest.fixture
def file(tmp_path):
    write_json(tmp_path / "allocation.json", Allocation(plan=PLAN).model_dump(mode="json"))
    return tmp_path / "allocation.json"


def test_a_dry_run_says_what_changes_and_changes_nothing(file, result):
    before = file.read_bytes()
    changes = act(file, result, is_applied=False)
    assert "homefeed: users are split, now all users get treatment" in changes
    assert "ads: users are split, now all users get control" in changes
    assert file.read_bytes() == before


def test_a_result_changes_the_file_once(file, result):
    assert act(file, result, is_applied=True) != []
    applied = file.read_bytes()
    assert load_config(Allocation, file).serves["homefeed"] == "treatment"
    assert act(file, result, is_applied=True) == []
    assert file.read_bytes() == applied


def test_a_result_of_another_plan_is_refused_and_leaves_the_file(file, result):
    write_json(file, Allocation(plan=planned(alpha=0.01)).model_dump(mode="json"))
    before = file.read_bytes()
    with pytest.raises(InputError, match="Give the result of this plan"):
        act(file, result, is_applied=True)
    assert file.read_bytes() == before
