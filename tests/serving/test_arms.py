"""Two arms in one real server: who gets which, what is an exposure, and changes of the allocation while it serves."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from cli.main import main
from redrec.experiments.allocation import Allocation, decided_by
from redrec.experiments.assignment import arm_of
from redrec.experiments.decisions import Decision, Result
from redrec.experiments.gate import decide
from redrec.experiments.plan import Arm, Plan
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import merge_max
from serving.arms import TREATMENT_REFUSED, TwoArms
from serving.config import ServingConfig
from serving.histories import HistoryReader
from serving.shedding import Waiting
from serving.start import ExperimentFiles
from tests.bundles import numpy_interests, swap, upload
from tests.redis_server import free_port
from tests.serving.clients import Clients
from tests.serving.experiments import (
    TREATMENT_SEED,
    Server,
    TwoBundles,
    serving,
    two_bundles,
    write_outcomes,
)
from tests.serving.processes import START_S, start
from tests.serving.retrieval import IMPATIENT, PATIENT, SEEN, query, stuck_tower

USERS = [f"u{number}" for number in range(400)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> TwoBundles:
    return two_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def plan(bundles: TwoBundles) -> Plan:
    return bundles.plan()


@pytest.fixture(scope="module")
def running(bundles: TwoBundles, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(bundles, tmp_path_factory.mktemp("server"), Allocation(plan=plan)) as server:
        yield server


@pytest.fixture
def server(running: Server, plan: Plan) -> Server:
    """The server with users split in both scenarios, and no exposures yet."""
    if running.allocation.read_text() != Allocation(plan=plan).model_dump_json():
        running.allocate(Allocation(plan=plan))
    running.forget_exposures()
    return running


def assigned(plan: Plan, scenario: str, users: list[str] = USERS) -> list[str]:
    return [arm_of(plan, scenario, user).name for user in users]


def result(plan: Plan, **verdicts: str) -> Result:
    users = {"control": 300, "treatment": 300}
    decisions = {
        scenario: Decision(verdict=verdict, rule="any", reason="as planted", look=7, users=users)
        for scenario, verdict in verdicts.items()
    }
    through = plan.start + timedelta(days=7)
    numbers = {"plan_hash": plan.hash(), "input_digest": "0", "through": through, "look": 7, "verdict": "hold"}
    return Result(experiment=plan.experiment, scenarios=decisions, **numbers)


def test_every_user_gets_the_assigned_arm_and_the_items_of_its_bundle(server: Server, bundles: TwoBundles, plan: Plan):
    for scenario in plan.scenarios:
        predictions = server.predict(scenario, USERS)
        assert [one["arm"] for one in predictions] == assigned(plan, scenario)
        by_arm = {one["arm"]: one for one in predictions}
        for name, bundle, seed in (("control", bundles.control, 0), ("treatment", bundles.treatment, TREATMENT_SEED)):
            is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter(scenario))
            interests_QD = numpy_interests(bundle, SEEN, scenario, seed)
            exact = merge_max(*exact_search(interests_QD, bundle.embeddings_ND, 3, is_allowed_N), 3)
            items = [item["item_id"] for item in by_arm[name]["items"]]
            assert items == [bundle.item_ids[i] for i in exact.items_K]
            assert (by_arm[name]["bundle_id"], by_arm[name]["experiment"]) == (bundle.manifest.id, "towers-2")
    assert by_arm["control"]["items"] != by_arm["treatment"]["items"]


def test_v2_names_the_same_arms(server: Server, bundles: TwoBundles, plan: Plan):
    users = [f"user-{number}" for number in range(12)]
    texts = {"user_id": users, "scenario": ["ads"] * 12}
    inputs = [{"name": name, "shape": [12], "datatype": "BYTES", "data": data} for name, data in texts.items()]
    body = server.post("v2/models/redrec/infer", {"inputs": inputs})
    outputs = {output["name"]: output["data"] for output in body["outputs"]}
    assert outputs["arm"] == assigned(plan, "ads", users)
    ids = {"control": bundles.control.manifest.id, "treatment": bundles.treatment.manifest.id}
    assert outputs["bundle_id"] == [ids[arm] for arm in outputs["arm"]]
    rows = server.exposed(12)  # of histories in the one feature store
    assert {row["exposure_id"] for row in rows} == set(outputs["exposure_id"])
    _, metadata = server.get("v2/models/redrec")
    assert {output["name"] for output in metadata["outputs"]} == {*outputs, "explanation"}


def test_the_gate_reads_the_exposures_of_the_server(
    server: Server, plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = [one["exposure_id"] for one in server.predict("ads", USERS)]
    rows = server.exposed(len(USERS))
    assert sorted(row["exposure_id"] for row in rows) == sorted(given)
    assert {(row["experiment"], row["scenario"], row["plan_hash"]) for row in rows} == {
        ("towers-2", "ads", plan.hash())
    }
    assert {row["user_id"]: row["arm"] for row in rows} == dict(zip(USERS, assigned(plan, "ads"), strict=True))
    write_outcomes(tmp_path / "outcomes.parquet", rows, {})
    through = plan.start + timedelta(days=1)
    decided = decide(server.exposures, tmp_path / "outcomes.parquet", plan, through)
    arms = assigned(plan, "ads")
    counts = {"control": arms.count("control"), "treatment": arms.count("treatment")}
    assert (decided.scenarios["ads"].users, decided.scenarios["ads"].verdict) == (counts, "hold")
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    tables = ["--exposures", str(server.exposures), "--outcomes", str(tmp_path / "outcomes.parquet")]
    assert main(["gate", *tables, "--plan", str(tmp_path / "plan.json"), "--through", through.isoformat()]) == 0
    assert "ads" in capsys.readouterr().out


def test_ids_that_would_break_a_table_are_rows_like_others(server: Server, plan: Plan):
    users = ['a"b', "a,b", "=1+1", "'", '"', '""', "007", "null", "NaN", "\\", "\\N", "#", "日本", "a;b|c", "<b>"]
    assert server.arms("ads", users) == assigned(plan, "ads", users)
    assert {row["user_id"]: row["arm"] for row in server.exposed(len(users))} == dict(
        zip(users, assigned(plan, "ads", users), strict=True)
    )


def test_a_fallback_and_a_scenario_outside_the_plan_are_no_exposures(server: Server, plan: Plan):
    unknown = server.predict("ads", USERS[:64], history=None)
    assert {(one["source"], one["reason"], one["exposure_id"]) for one in unknown} == {
        ("fallback", "unknown_user", None)
    }
    assert [one["arm"] for one in unknown] == assigned(plan, "ads", USERS[:64])
    outside = server.predict("search", USERS[:64])
    assert {(one["arm"], one["source"], one["exposure_id"]) for one in outside} == {("control", "model", None)}
    assert server.exposed(0) == []


def test_a_promoted_scenario_serves_the_treatment_to_all_and_another_stays_split(server: Server, plan: Plan):
    promoted = decided_by(Allocation(plan=plan), result(plan, ads="promote", homefeed="hold"))
    assert server.allocate(promoted) < 2
    assert set(server.arms("ads", USERS)) == {"treatment"}
    assert server.arms("homefeed", USERS) == assigned(plan, "homefeed")
    assert {row["scenario"] for row in server.exposed(len(USERS))} == {"homefeed"}


def test_a_rollback_serves_the_control_to_all_and_doing_it_twice_changes_nothing(server: Server, plan: Plan):
    drill = result(plan, ads="rollback")
    once = decided_by(Allocation(plan=plan), drill)
    assert server.allocate(once) < 2
    assert set(server.arms("ads", USERS)) == {"control"}
    assert decided_by(once, drill) == once
    status, decision = server.get("v1/experiments/towers-2/scenarios/ads/decision")
    assert (status, decision["verdict"], decision["reason"]) == (200, "rollback", "as planted")
    assert server.arms("homefeed", USERS) == assigned(plan, "homefeed")


@pytest.mark.parametrize(("change", "verdict", "served"), [(3, "promote", "treatment"), (-3, "rollback", "control")])
def test_what_the_gate_decides_from_the_servers_own_exposures_is_served(
    server: Server, bundles: TwoBundles, tmp_path: Path, change: int, verdict: str, served: str
):
    """Of 10 impressions a user clicks 4 to 6; the treatment changes that in ads, and nothing in homefeed."""
    plan = bundles.plan(experiment=f"planted-{verdict}", days=2, looks=(1, 2), guardrails=())
    server.allocate(Allocation(plan=plan))
    for scenario in plan.scenarios:
        server.predict(scenario, USERS)
    rows = server.exposed(2 * len(USERS))
    write_outcomes(tmp_path / "outcomes.parquet", rows, {("ads", "treatment"): change})
    decided = decide(server.exposures, tmp_path / "outcomes.parquet", plan, plan.start + timedelta(days=1))
    verdicts = {scenario: decision.verdict for scenario, decision in decided.scenarios.items()}
    assert verdicts == {"ads": verdict, "homefeed": "hold"}
    server.allocate(decided_by(Allocation(plan=plan), decided))
    assert set(server.arms("ads", USERS)) == {served}
    assert server.arms("homefeed", USERS) == assigned(plan, "homefeed")
    assert server.get(f"v1/experiments/{plan.experiment}/scenarios/homefeed/decision")[1]["verdict"] == "hold"


def test_coverage_0_switches_the_experiment_off(server: Server, plan: Plan):
    assert server.allocate(Allocation(plan=plan.model_copy(update={"coverage": 0.0}))) < 2
    assert set(server.arms("ads", USERS)) == {"control"}
    assert server.exposed(0) == []


def test_changes_under_load_fail_no_request(server: Server, plan: Plan):
    """Applied, refused and broken changes, while clients query without a pause."""
    half = Allocation(plan=plan.model_copy(update={"coverage": 0.5}))
    with Clients(server.arms_of_new_users) as clients:
        for _ in range(2):
            server.allocate(Allocation(plan=plan, serves={"ads": "treatment"}))
            server.allocate("serves: {", "refused")
            server.allocate(half)
            server.allocate(Allocation(plan=plan, serves={"ads": "control"}))
    assert clients.errors == []
    assert len(clients.answers) > 40
    assert set(chain.from_iterable(clients.answers)) == {"control", "treatment"}


def test_without_a_folder_for_exposures_every_request_is_answered(server: Server, plan: Plan):
    lost = server.metric("redrec_exposures", "not_written")
    server.exposures.rmdir()
    server.exposures.write_text("no folder")
    try:
        assert server.arms("ads", USERS) == assigned(plan, "ads")
        for _ in range(50):
            if server.metric("redrec_exposures", "not_written") - lost == len(USERS):
                break
            time.sleep(0.1)
        assert server.metric("redrec_exposures", "not_written") - lost == len(USERS)
    finally:
        server.exposures.unlink()
        server.exposures.mkdir()
    server.arms("ads", USERS[:10])
    assert len(server.exposed(10)) == 10


def test_a_change_that_is_refused_or_half_written_leaves_what_was_served(server: Server, plan: Plan):
    arms = {
        arm.name: arm.model_copy(update={"weight": weight}) for arm, weight in zip(plan.arms, (0.8, 0.2), strict=True)
    }
    other_weights = plan.model_copy(update=arms)
    server.allocate(Allocation(plan=other_weights), "refused")
    server.allocate(Allocation(plan=plan, serves={"ads": "treatment"}).model_dump_json()[:-30], "refused")
    other_bundle = plan.model_copy(update={"experiment": "next", "control": Arm(name="control", bundle="0" * 16)})
    server.allocate(Allocation(plan=other_bundle), "refused")
    assert server.arms("ads", USERS) == assigned(plan, "ads")


def test_without_a_decision_the_route_says_why(server: Server):
    status, answer = server.get("v1/experiments/towers-2/scenarios/ads/decision")
    assert (status, "Nothing is decided yet" in answer["error"]) == (404, True)
    status, answer = server.get("v1/experiments/towers-1/scenarios/ads/decision")
    assert (status, "this server has 'towers-2'" in answer["error"]) == (404, True)
    status, answer = server.get("v1/experiments/towers-2/scenarios/search/decision")
    assert (status, "it has homefeed, ads" in answer["error"]) == (404, True)
    described = server.get("openapi.json")[1]["paths"]["/v1/experiments/{experiment}/scenarios/{scenario}/decision"]
    assert set(described["get"]["responses"]) == {"200", "404"}


def test_every_answer_up_to_sigterm_is_logged_once(server: Server):
    """This stops the server, so it is the last test that uses it."""
    refused, answered = server.metric("redrec_allocation_changes", "refused"), []

    def ask_until_it_stops(caller: int) -> None:
        with suppress(ConnectionError, URLError):
            for number in count():
                user = f"caller-{caller}-{number}"
                server.predict("ads", [user])
                answered.append(user)

    with ThreadPoolExecutor(4) as callers:
        running = [callers.submit(ask_until_it_stops, caller) for caller in range(4)]
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        wait(running)
    assert [one.result() for one in running] == [None] * 4
    assert server.process.wait(timeout=10) == 0
    assert len(answered) > 20
    assert sorted(row["user_id"] for row in server.exposed(len(answered))) == sorted(answered)
    log = server.process.stderr.read()
    assert "Traceback" not in log
    assert log.count("allocation: refused") == refused, log


def test_before_the_start_all_users_get_the_control(bundles: TwoBundles, tmp_path: Path):
    plan = bundles.plan(start=datetime.now(UTC) + timedelta(hours=1))
    served = served_by(bundles, tmp_path, Allocation(plan=plan), lambda arms: answers_of(arms, USERS[:20]))
    assert {(one.arm, one.exposure_id) for one in served} == {("control", None)}


def test_a_treatment_whose_index_is_another_bundles_is_answered_by_the_control(
    bundles: TwoBundles, tmp_path: Path, with_server: Callable
):
    plan = bundles.plan()

    async def before_and_after(arms: TwoArms):
        before = await answers_of(arms, USERS[:20])
        swap(config.milvus, bundles.treatment, bundles.control)
        upload(config.milvus, bundles.control)
        return before, await answers_of(arms, USERS[:20])

    config = with_server(bundles.control, bundles.treatment)
    before, after = served_by(bundles, tmp_path, Allocation(plan=plan), before_and_after, config)
    arms = assigned(plan, "homefeed", USERS[:20])
    assert [one.arm for one in before] == arms and all(one.exposure_id for one in before)
    for one, arm in zip(after, arms, strict=True):
        is_control = arm == "control"
        assert (one.arm, one.bundle_id) == ("control", bundles.control.manifest.id)
        assert (one.answer.reason, one.exposure_id is not None) == (
            None if is_control else TREATMENT_REFUSED,
            is_control,
        )
    assert np.all([one.answer.items == after[0].answer.items for one in after])


def test_while_an_arms_tower_is_stuck_its_users_get_medoids_and_are_not_exposed(bundles: TwoBundles, tmp_path: Path):
    async def while_stuck(arms: TwoArms):
        with stuck_tower(arms.treatment):
            return await answers_of(arms, USERS[:20])

    config, allocation = PATIENT.model_copy(update=IMPATIENT), Allocation(plan=bundles.plan())
    served = served_by(bundles, tmp_path, allocation, while_stuck, config)
    assert {(one.arm, one.answer.source, one.exposure_id is not None) for one in served} == {
        ("control", "model", True),
        ("treatment", "medoid", False),
    }


def test_while_an_arms_tower_is_stuck_no_list_is_of_both_arms(bundles: TwoBundles, tmp_path: Path):
    plan = bundles.plan(start=datetime.now(UTC) + timedelta(hours=1))

    async def while_stuck(arms: TwoArms):
        with stuck_tower(arms.treatment):
            return await answers_of(arms, USERS[:3])

    config, allocation = PATIENT.model_copy(update=IMPATIENT), Allocation(plan=plan, interleaves=("homefeed",))
    served = served_by(bundles, tmp_path, allocation, while_stuck, config)
    assert {(one.arm, one.answer.source, one.teams) for one in served} == {("control", "model", None)}


def test_a_list_of_both_arms_without_the_treatments_index_is_the_controls(
    bundles: TwoBundles, tmp_path: Path, with_server: Callable
):
    allocation = Allocation(plan=bundles.plan(start=datetime.now(UTC) + timedelta(hours=1)), interleaves=("homefeed",))

    async def before_and_after(arms: TwoArms):
        before = await answers_of(arms, USERS[:5])
        swap(config.milvus, bundles.treatment, bundles.control)
        upload(config.milvus, bundles.control)
        return before, await answers_of(arms, USERS[:5])

    config = with_server(bundles.control, bundles.treatment)
    before, after = served_by(bundles, tmp_path, allocation, before_and_after, config)
    assert all(one.teams and one.request_id for one in before)
    assert {(one.teams, one.request_id, one.arm, one.answer.reason) for one in after} == {
        (None, None, "control", TREATMENT_REFUSED)
    }


async def answers_of(arms: TwoArms, users: list[str]):
    return [await arms.answer(query(k=3).model_copy(update={"user_id": user})) for user in users]


def served_by(bundles: TwoBundles, folder: Path, allocation: Allocation, call, config: ServingConfig = PATIENT):
    """Run `call` between the start and the close of both arms, without a server."""
    (folder / "allocation.json").write_text(allocation.model_dump_json())
    files = ExperimentFiles(bundles.treatment.path, folder / "allocation.json", folder / "exposures")

    async def session():
        arms = TwoArms(bundles.control, bundles.treatment, config, HistoryReader(bundles.features), Waiting(), files)
        try:
            await arms.start()
            return await call(arms)
        finally:
            await arms.close()

    return asyncio.run(session())


def refusal(bundles: TwoBundles, folder: Path, allocation: Allocation, **environment: str) -> str:
    (folder / "allocation.json").write_text(allocation.model_dump_json())
    options = ("--bundle", str(bundles.control.path), "--treatment", str(bundles.treatment.path))
    files = ("--allocation", str(folder / "allocation.json"), "--exposures", str(folder / "exposures"))
    process = start(*options, *files, "--http_port", str(free_port()), **environment)
    _, log = process.communicate(timeout=START_S)
    assert process.returncode == 2
    return log


def test_a_treatment_with_the_index_of_another_bundle_is_refused_at_start(
    bundles: TwoBundles, tmp_path: Path, with_server: Callable
):
    config = with_server(bundles.control, bundles.treatment)
    swap(config.milvus, bundles.treatment, bundles.control)
    upload(config.milvus, bundles.control)
    log = refusal(bundles, tmp_path, Allocation(plan=bundles.plan()), REDREC_MILVUS_URI=config.milvus.uri)
    assert f"Bundle {bundles.treatment.manifest.id} must be served with its own index" in log
    assert f"holds bundle {bundles.control.manifest.id}" in log


def test_bundles_other_than_the_plans_are_refused_at_start_with_both_ids(bundles: TwoBundles, tmp_path: Path):
    swapped = bundles.plan(treatment=Arm(name="treatment", bundle=bundles.control.manifest.id))
    log = refusal(bundles, tmp_path, Allocation(plan=swapped))
    assert bundles.control.manifest.id in log and bundles.treatment.manifest.id in log
    log = refusal(bundles, tmp_path, Allocation(plan=bundles.plan(scenarios=("ads", "radio"))))
    assert "has scenario radio" in log and "it knows homefeed, ads, search" in log
