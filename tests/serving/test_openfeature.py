"""The provider in OpenFeature's own client: the arms of the predictor, the reasons, and what is refused."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from redrec.experiments.assignment import arm_of
from redrec.experiments.plan import Arm, Namespace, Plan
from serving.openfeature import ExperimentProvider
from tests.serving.config_map_api import NAME, config_map_api

USERS = [f"u{number}" for number in range(1_000)]
START = datetime.now(UTC) - timedelta(days=1)
CHANGE_S = 3.0  # within which a change is seen; it takes up to 1.5 s


def planned(**changes) -> Plan:
    fields = {
        "experiment": "towers-2",
        "scenarios": ("homefeed", "ads"),
        "start": START,
        "control": Arm(name="control", weight=0.6, bundle="b0"),
        "treatment": Arm(name="treatment", weight=0.4, bundle="b1"),
        "coverage": 0.8,
        "namespace": Namespace(name="towers", low=0, high=0.9),
    }
    return Plan(**{**fields, **changes})


def write(path: Path, allocation: Allocation) -> None:
    """Replace the file as a tool would."""
    new = path.with_suffix(".new")
    new.write_text(allocation.model_dump_json())
    os.replace(new, path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "allocation.json"
    write(path, Allocation(plan=planned()))
    return path


@pytest.fixture
def client(file: Path) -> Iterator[OpenFeatureClient]:
    api.set_provider_and_wait(ExperimentProvider(file))
    yield api.get_client()
    api.shutdown()


def details(client: OpenFeatureClient, key: str, user: str | None, **attributes: object) -> FlagEvaluationDetails[str]:
    return client.get_string_details(key, "the default", EvaluationContext(user, attributes))


@pytest.mark.parametrize("applies", ["per_scenario", "shared"])
def test_the_arms_are_those_of_the_predictor(applies: str, file: Path, client: OpenFeatureClient):
    plan = planned(applies=applies, experiment=f"towers-{applies}")
    write(file, Allocation(plan=plan))
    wait_until(lambda: details(client, plan.experiment, "u", scenario="ads").error_code is None)
    for scenario in plan.scenarios:
        given = [details(client, f"{plan.experiment}/{scenario}", user) for user in USERS]
        by_attribute = [details(client, plan.experiment, user, scenario=scenario) for user in USERS]
        arms = [arm_of(plan, scenario, user) for user in USERS]
        assert [one.value for one in given] == [arm.name if arm else "control" for arm in arms]
        assert [one.reason for one in given] == [Reason.SPLIT if arm else Reason.DEFAULT for arm in arms]
        assert [one.flag_metadata["is_exposure"] for one in given] == [arm is not None for arm in arms]
        assert {(one.value, one.variant, one.flag_metadata["bundle_id"]) for one in given} == {
            ("control", "control", "b0"),
            ("treatment", "treatment", "b1"),
        }
        assert {one.flag_metadata["plan_hash"] for one in given} == {plan.hash()}
        assert [one.value for one in by_attribute] == [one.value for one in given]


def test_a_decided_scenario_has_one_arm_for_all_and_a_change_takes_effect_while_it_runs(
    file: Path, client: OpenFeatureClient
):
    plan = planned()
    split = {details(client, "towers-2/ads", user).value for user in USERS}
    assert split == {"control", "treatment"}
    write(file, Allocation(plan=plan, serves={"ads": "treatment"}))
    wait_until(lambda: details(client, "towers-2/ads", "u0").reason == Reason.TARGETING_MATCH)
    given = [details(client, "towers-2/ads", user) for user in USERS]
    assert {(one.value, one.reason, one.flag_metadata["is_exposure"]) for one in given} == {
        ("treatment", Reason.TARGETING_MATCH, False)
    }
    write(file, Allocation(plan=plan.model_copy(update={"coverage": 0.0})))
    wait_until(lambda: details(client, "towers-2/ads", "u0").reason == Reason.DISABLED)
    assert {details(client, "towers-2/ads", user).value for user in USERS} == {"control"}


def test_a_scenario_outside_the_plan_and_a_time_before_its_start_have_the_control(file: Path):
    write(file, Allocation(plan=planned(start=datetime.now(UTC) + timedelta(days=1), coverage=1.0, namespace=None)))
    api.set_provider_and_wait(ExperimentProvider(file))
    client = api.get_client()
    for given in (details(client, "towers-2/ads", "u1"), details(client, "towers-2", "u1", scenario="radio")):
        assert (given.value, given.reason, given.flag_metadata["is_exposure"]) == ("control", Reason.DEFAULT, False)
    api.shutdown()


def test_without_a_bundle_in_the_plan_there_is_none_in_the_metadata(file: Path):
    write(file, Allocation(plan=planned(control=Arm(name="control"), treatment=Arm(name="treatment"))))
    api.set_provider_and_wait(ExperimentProvider(file))
    assert set(details(api.get_client(), "towers-2/ads", "u1").flag_metadata) == {"plan_hash", "is_exposure"}
    api.shutdown()


@pytest.mark.parametrize(
    ("key", "user", "attributes", "code", "words"),
    [
        ("towers-3/ads", "u1", {}, ErrorCode.FLAG_NOT_FOUND, "this provider has towers-2, towers-2/homefeed"),
        ("towers-2/radio", "u1", {}, ErrorCode.FLAG_NOT_FOUND, "no flag 'towers-2/radio'"),
        ("towers-2", "u1", {}, ErrorCode.INVALID_CONTEXT, "attribute scenario is a text; seen: None"),
        ("towers-2", "u1", {"scenario": 3}, ErrorCode.INVALID_CONTEXT, "seen: 3"),
        ("towers-2/ads", None, {}, ErrorCode.TARGETING_KEY_MISSING, "the user's id"),
    ],
)
def test_what_names_no_flag_or_no_user_gets_the_default_and_the_reason(
    client: OpenFeatureClient, key: str, user: str | None, attributes: dict, code: ErrorCode, words: str
):
    given = details(client, key, user, **attributes)
    assert (given.value, given.reason, given.error_code) == ("the default", Reason.ERROR, code)
    assert words in given.error_message


def test_another_type_is_a_mismatch_and_an_unknown_flag_is_none_in_any_type(client: OpenFeatureClient):
    context = EvaluationContext("u1", {})
    for ask, default in (
        (client.get_boolean_details, True),
        (client.get_integer_details, 3),
        (client.get_float_details, 0.5),
        (client.get_object_details, {"arm": "control"}),
    ):
        given = ask("towers-2/ads", default, context)
        assert (given.value, given.error_code) == (default, ErrorCode.TYPE_MISMATCH)
        assert ask("nosuch", default, context).error_code == ErrorCode.FLAG_NOT_FOUND


def test_a_configmap_is_followed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with config_map_api(Allocation(plan=planned()), tmp_path, monkeypatch) as config_map:
        api.set_provider_and_wait(ExperimentProvider(NAME))
        client = api.get_client()
        assert {details(client, "towers-2/ads", user).value for user in USERS} == {"control", "treatment"}
        config_map.write(Allocation(plan=planned(), serves={"ads": "treatment"}))
        wait_until(lambda: details(client, "towers-2/ads", "u0").reason == Reason.TARGETING_MATCH)
        api.shutdown()


def test_a_file_that_is_no_allocation_is_refused_at_once(tmp_path: Path):
    (tmp_path / "allocation.yaml").write_text("serves: {}\n")
    with pytest.raises(InputError, match="plan: missing"):
        ExperimentProvider(tmp_path / "allocation.yaml")


def wait_until(condition) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < CHANGE_S
        time.sleep(0.02)
