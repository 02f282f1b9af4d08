"""Interleaved lists: of two answers, and from a real server before an experiment starts."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from redrec.data.tables import connect, read
from redrec.experiments.allocation import Allocation
from redrec.experiments.assignment import arm_of
from serving.exposures import interleaved
from serving.interleaved import interleave
from serving.lists import Answer, Item
from serving.requests import Query
from tests.serving.experiments import Server, TwoBundles, serving, two_bundles

USERS = [f"u{number}" for number in range(300)]
QUERY = Query(user_id="u1", scenario="ads", k=3, request_id="r1")


def answer(ids: str, score: float, **changes) -> Answer:
    items = [Item(item_id, item_id.upper(), score, 0) for item_id in ids]
    return Answer(items, **{"source": "model", "reason": None, **changes})


def test_an_item_keeps_the_score_of_its_teams_arm():
    both = interleave(answer("abc", 0.5), answer("adb", 0.25), QUERY, "towers-2")
    scores = dict(zip(both.teams, both.answer.items, strict=True))
    assert {team: (item.item_id, item.score) for team, item in scores.items()} == {
        None: ("a", 0.5),
        "control": ("b", 0.5),
        "treatment": ("d", 0.25),
    }


def test_a_request_id_has_one_list_and_another_id_another():
    answers = answer("abcdef", 0.5), answer("ghijkl", 0.5)
    lists = [interleave(*answers, QUERY.model_copy(update={"request_id": f"r{n // 2}"}), "towers-2") for n in range(40)]
    assert lists[::2] == lists[1::2] and len({one.teams for one in lists}) > 1


def test_the_source_is_the_worse_of_both():
    exact = answer("ab", 0.5, source="exact", reason="index_timeout")
    for answers in ((exact, answer("cd", 0.5)), (answer("cd", 0.5), exact)):
        both = interleave(*answers, QUERY, "towers-2")
        assert (both.answer.source, both.answer.reason) == ("exact", "index_timeout")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> TwoBundles:
    return two_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def server(bundles: TwoBundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    plan = bundles.plan(start=datetime.now(UTC) + timedelta(days=1), coverage=0.8)
    allocation = Allocation(plan=plan, interleaves=("ads",))
    with serving(bundles, tmp_path_factory.mktemp("server"), allocation) as server:
        yield server


def shown(server: Server) -> list[dict]:
    rows = read(connect(), interleaved(server.exposures), "shown lists").to_pyarrow().to_pylist()
    return sorted(rows, key=lambda row: (row["request_id"], int(row["position"])))


def test_before_the_start_users_of_the_experiment_see_both_arms(
    server: Server, bundles: TwoBundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Items that are of one arm alone come from its bundle; who clicks the treatment's items is seen to prefer it."""
    plan = Allocation.model_validate_json(server.allocation.read_text()).plan
    predictions = server.predict("ads", USERS, k=6)
    is_outside = [arm_of(plan, "ads", user) is None for user in USERS]
    assert [(one["request_id"] is None, one["arm"] == "control") for one in predictions] == [
        (outside, outside) for outside in is_outside
    ]
    assert 0 < sum(is_outside) < len(USERS)
    both = [one for one in predictions if one["request_id"]]
    ids = f"{bundles.control.manifest.id}+{bundles.treatment.manifest.id}"
    assert {(one["bundle_id"], one["experiment"], one["exposure_id"]) for one in both} == {(ids, "towers-2", None)}
    assert {item["team"] for item in both[0]["items"]} >= {"control", "treatment"}

    wait_for_rows(server, 6 * len(both))
    rows = {(row["request_id"], int(row["position"])): (row["item_id"], row["team"]) for row in shown(server)}
    assert rows == {
        (one["request_id"], position): (item["item_id"], item["team"])
        for one in both
        for position, item in enumerate(one["items"], start=1)
    }
    assert [path for path in server.exposures.iterdir() if path.is_file()] == []  # nobody was exposed to an arm

    clicks = [
        {key: row[key] for key in ("request_id", "item_id")} for row in shown(server) if row["team"] == "treatment"
    ]
    pq.write_table(pa.Table.from_pylist(clicks), tmp_path / "clicks.parquet")
    tables = ["--shown", str(interleaved(server.exposures)), "--clicks", str(tmp_path / "clicks.parquet")]
    assert main(["gate", "interleave", *tables, "--json"]) == 0
    preferred = json.loads(capsys.readouterr().out)["scenarios"]["ads"]
    assert (preferred["verdict"], preferred["users"]) == ("treatment preferred", len(both))


def test_a_repeated_request_has_the_list_it_had(server: Server):
    first, again, other = (
        server.predict("ads", USERS[:30], k=6, request_id=request_id) for request_id in ("r1", "r1", "r2")
    )
    assert first == again != other
    assert {one["request_id"] for one in first} == {"r1", None}


def test_v2_names_the_teams(server: Server):
    users = [f"user-{number}" for number in range(8)]  # with histories in the feature store
    texts = {"user_id": users, "scenario": ["ads"] * 8, "request_id": ["r1"] * 8}
    inputs = [{"name": name, "shape": [8], "datatype": "BYTES", "data": data} for name, data in texts.items()]
    body = server.post("v2/models/redrec/infer", {"inputs": inputs})
    outputs = {output["name"]: output for output in body["outputs"]}
    assert outputs["team"]["shape"] == outputs["item_id"]["shape"]
    assert {"control", "treatment"} <= set(outputs["team"]["data"]) <= {"control", "treatment", ""}
    assert set(outputs["request_id"]["data"]) <= {"r1", ""}


def test_another_scenario_and_a_fallback_have_the_controls_list(server: Server):
    for predictions in (server.predict("homefeed", USERS[:20]), server.predict("ads", USERS[:20], history=None)):
        assert {(one["arm"], one["request_id"]) for one in predictions} == {("control", None)}
        assert all("team" not in item for one in predictions for item in one["items"])


def wait_for_rows(server: Server, num_rows: int) -> None:
    for _ in range(100):
        if interleaved(server.exposures).is_dir() and len(shown(server)) >= num_rows:
            return
        time.sleep(0.1)
    raise AssertionError("the rows are not there after 10 s")
