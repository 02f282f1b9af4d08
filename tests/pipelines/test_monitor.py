"""The monitor pipeline on this machine: drift in a second window trains, and a window like the others does not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.local import Monitored, run_monitor
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.prepare import DataConfig
from redrec.drift.config import DriftConfig
from redrec.drift.history import NO_HISTORY, read_history, write_history
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder, MonitorFolder, RunFolder
from redrec.training.presets import tiny
from tests.drift.results import receiver, scenario
from tests.drift.test_metrics import parsed
from tests.worlds import names_of_new_run

START = datetime(2026, 1, 5, tzinfo=UTC)
NUM_WEEKS, NUM_USERS, NUM_ITEMS = 5, 150, 60
RECIPE = tiny().model_copy(
    update={
        "data": DataConfig(test_share=1 / NUM_WEEKS, has_validation=False),
        "drift": DriftConfig(num_permutations=299),
    }
)


def write_tables(folder: Path, drifting: str | None) -> tuple[str, str]:
    """Write five weeks of three scenarios, and items; in the last week `drifting` has mostly items of one category."""
    rng, week_ms = np.random.default_rng(0), timedelta(days=7) // timedelta(milliseconds=1)
    tables = []
    for name in ("homefeed", "search", "ads"):
        num = NUM_USERS * NUM_WEEKS * 6
        ms_N = np.sort(rng.integers(0, NUM_WEEKS * week_ms, num))
        is_changed_N = (ms_N >= (NUM_WEEKS - 1) * week_ms) & (rng.random(num) < 0.6) & (name == drifting)
        item_N = np.where(is_changed_N, rng.integers(0, NUM_ITEMS // 4, num) * 4, rng.integers(0, NUM_ITEMS, num))
        columns = {
            "user_id": [f"u{user}" for user in rng.integers(0, NUM_USERS, num)],
            "item_id": [f"i{item}" for item in item_N],
            "scenario": [name] * num,
            "action": np.where(rng.random(num) < 0.2, "like", "click"),
            "timestamp": pa.array(round(START.timestamp() * 1000) + ms_N, pa.timestamp("ms", "UTC")),
        }
        tables.append(pa.table(columns))
    ids = [f"i{item}" for item in range(NUM_ITEMS)]
    category = [("cooking", "travel", "games", "music")[item % 4] for item in range(NUM_ITEMS)]
    folder.mkdir()
    pq.write_table(pa.concat_tables(tables), folder / "events.parquet")
    pq.write_table(pa.table({"item_id": ids, "title": ids, "category": category}), folder / "items.parquet")
    return str(folder / "events.parquet"), str(folder / "items.parquet")


def week(number: int) -> tuple[str, str]:
    start = START + number * timedelta(days=7)
    return start.isoformat(), (start + timedelta(days=7)).isoformat()


def write_earlier_window(history: Path) -> None:
    """Write that ads drifted in the last week but one, since the second week."""
    scenarios = {"homefeed": scenario(), "search": scenario(), "ads": scenario("drift", "watch")}
    drift = Drift(windows={"reference": week(1), "current": week(3)}, scenarios=scenarios)
    write_history(str(history), NO_HISTORY.with_window(drift))


class Service:
    """A service's folder, in which ads drifted in the last week but one."""

    def __init__(self, folder: Path, drifting: str | None) -> None:
        self.history, self.run, self.out = folder / "history.jsonl", folder / "run", folder / "report"
        write_earlier_window(self.history)
        events, items = write_tables(folder / "tables", drifting)
        self.monitored = Monitored(events, items, RECIPE.model_dump_json(), str(self.history))
        self.files = DriftFolder(MonitorFolder(self.out).drift)

    def monitor(self, **settings: str) -> list[str]:
        """Run the pipeline, and return its steps."""
        progress: list[str] = []
        trained = run_monitor(self.monitored._replace(**settings), self.out, self.run, progress.append)
        steps = [line for line in progress if not line.startswith(" ")]
        assert trained == ("train-towers" in steps)
        return steps


@pytest.mark.slow
def test_drift_in_a_second_window_trains_and_its_repetition_changes_nothing(tmp_path: Path):
    service = Service(tmp_path, "ads")
    with receiver() as (address, received):
        steps = service.monitor(webhook=f"{address}/api/v2/alerts", pushgateway=address)
    assert steps[:4] == ["identify-inputs", "prepare-data", "report-drift", "train-towers"]
    assert steps.count("report-drift") == 1
    history = read_history(str(service.history))
    newest = history.windows[-1]
    assert {name: one.action for name, one in newest.scenarios.items()} == {
        "homefeed": "none",
        "search": "none",
        "ads": "retrain",
    }
    assert newest.windows is not None and newest.windows["reference"][1] <= week(1)[1]  # no newer than that of before
    assert [one.reason for one in history.trainings] == [
        "retrain: ads category drifted in 2 of 3 windows, to 2026-02-08"
    ]
    assert set(Bundle.load(RunFolder(service.run).bundle).manifest.scenarios) == {"homefeed", "search", "ads"}
    assert {path.name for path in service.run.iterdir()} == names_of_new_run(service.run)
    alerts, metrics = received
    firing = [alert for alert in json.loads(alerts.content) if alert["endsAt"] > alert["startsAt"]]
    assert [(alert["labels"]["scenario"], alert["labels"]["action"]) for alert in firing] == [("ads", "retrain")]
    assert parsed(metrics.content)["redrec_drift_action"]["ads", "retrain"] == 1

    before = service.history.read_bytes()
    assert "train-towers" in service.monitor(webhook=f"{address}/api/v2/alerts")  # which is away by now
    assert service.history.read_bytes() == before
    assert "Not delivered:" in service.files.markdown.read_text()


@pytest.mark.slow
def test_a_window_like_the_others_trains_nothing(tmp_path: Path):
    service = Service(tmp_path, None)
    assert service.monitor() == ["identify-inputs", "prepare-data", "report-drift"]
    drift = Drift.model_validate_json(service.files.verdicts.read_bytes())
    assert set(drift.verdicts.values()) == {"stable"}
    assert not service.run.exists()
    assert {path.name for path in service.out.iterdir()} == MonitorFolder(service.out).names
    assert len(read_history(str(service.history)).windows) == 2


def test_a_wrong_setting_is_an_input_error(tmp_path: Path):
    service = Service(tmp_path, None)
    with pytest.raises(InputError, match="webhook alertmanager:9093 is no address"):
        service.monitor(webhook="alertmanager:9093")
    service.out.joinpath("mine.txt").touch()
    with pytest.raises(InputError, match=r"mine.txt, which no report wrote"):
        service.monitor()
