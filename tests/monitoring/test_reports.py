"""Reports on a planted drift: verdicts per scenario, the HTML files, and nothing left behind after an error."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.reports import report_drift
from redrec.config import InputError
from redrec.drift.verdicts import DriftConfig
from tests.drift.logs import write_data


@pytest.fixture(scope="module")
def drifted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    return folder / "out", report_drift(write_data(folder / "data", drifting="ads"), folder / "out")


def test_drift_in_one_scenario_leaves_the_others_stable(drifted):
    verdicts = drifted[1]
    assert {name: scenario["verdict"] for name, scenario in verdicts.items()} == {
        "homefeed": "stable",
        "search": "stable",
        "ads": "drift",
    }


def test_only_the_changed_habits_are_named(drifted):
    columns = drifted[1]["ads"]["columns"]
    assert {name for name, column in columns.items() if column["is_drifted"]} == {"main_action_share", "top_category"}
    assert columns["top_category"]["method"] == "jensenshannon"
    assert columns["main_action_share"]["method"] == "wasserstein"


def test_the_folder_holds_the_summary_and_a_report_for_each_scenario(drifted):
    out, verdicts = drifted
    assert json.loads((out / "drift.json").read_text()) == json.loads(json.dumps(verdicts))
    assert sorted(path.name for path in out.iterdir()) == ["ads.html", "drift.json", "homefeed.html", "search.html"]
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_without_drift_every_scenario_is_stable(tmp_path):
    verdicts = report_drift(write_data(tmp_path / "data"), tmp_path / "out")
    assert {scenario["verdict"] for scenario in verdicts.values()} == {"stable"}


def test_few_users_are_a_verdict_of_their_own(tmp_path):
    data = write_data(tmp_path / "data", drifting="ads", num_users=40)
    verdicts = report_drift(data, tmp_path / "out")
    assert {scenario["verdict"] for scenario in verdicts.values()} == {"insufficient"}
    assert "fewer than 200" in verdicts["ads"]["reason"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drift.json"]


def test_items_without_category_leave_that_column_out(tmp_path):
    verdicts = report_drift(write_data(tmp_path / "data", categories=False, num_users=250), tmp_path / "out")
    assert "top_category" not in verdicts["ads"]["columns"]
    assert verdicts["ads"]["verdict"] == "stable"


def test_a_constant_column_is_no_drift(tmp_path):
    data = write_data(tmp_path / "data", num_users=250)
    events = pq.read_table(data / "events.parquet")
    events = events.set_column(events.schema.get_field_index("action"), "action", pa.repeat("click", len(events)))
    pq.write_table(events, data / "events.parquet")
    verdicts = report_drift(data, tmp_path / "out", DriftConfig(min_users=100))
    assert verdicts["ads"]["columns"]["main_action_share"]["score"] == 0
    assert verdicts["ads"]["verdict"] == "stable"


def test_a_missing_table_leaves_nothing_behind(tmp_path):
    data = write_data(tmp_path / "data", num_users=5)
    (data / "items.parquet").unlink()
    with pytest.raises(InputError, match=r"items.parquet does not exist"):
        report_drift(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
