"""Act: drift in two windows trains once, and a receiver that is down loses no verdict and no training."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.drift.act import Acted, Receivers, act, actions_markdown
from redrec.drift.config import DriftConfig
from redrec.drift.history import read_history
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder
from tests.drift.results import NOW, scenario, span, window

AWAY = "http://127.0.0.1:9"  # the discard port: nothing listens


class Service:
    """A service whose windows are acted on one by one."""

    def __init__(self, folder: Path, **receivers: str) -> None:
        self.out = folder / "out"
        self.receivers = Receivers(history=f"{folder}/history.jsonl", **receivers)

    def act(self, drift: Drift, retrain: bool = True, hours: int = 0) -> Acted:
        return act(drift, DriftConfig(), self.receivers, self.out, retrain, NOW + timedelta(hours=hours))


def test_the_second_of_two_windows_with_drift_starts_a_training_with_its_reason(tmp_path: Path):
    service = Service(tmp_path)
    first, second = service.act(window(0, ads="drift")), service.act(window(7, ads="drift"))
    assert (first.step, first.name) == ("drift", "")
    assert (second.step, second.name) == ("train", "retrain: ads category drifted in 2 of 3 windows, to 2026-01-19")
    history = read_history(service.receivers.history)
    assert [one.scenarios["ads"].action for one in history.windows] == ["watch", "retrain"]
    ((training),) = history.trainings
    assert (training.window, training.started_at, training.reason) == (span(7), NOW, second.name)


def test_a_repeated_run_decides_the_same_and_changes_no_byte(tmp_path: Path):
    service = Service(tmp_path)
    service.act(window(0, ads="drift"))
    once = service.act(window(7, ads="drift"))
    written = Path(service.receivers.history).read_bytes()
    assert service.act(window(7, ads="drift"), hours=3) == once
    assert Path(service.receivers.history).read_bytes() == written


def test_the_next_window_waits_for_two_of_its_own(tmp_path: Path):
    service = Service(tmp_path)
    steps = [service.act(window(7 * week, ads="drift")).step for week in range(5)]
    assert steps == ["drift", "train", "drift", "train", "drift"]


def test_without_a_request_nothing_trains_and_nothing_cools_down(tmp_path: Path):
    service = Service(tmp_path)
    service.act(window(0, ads="drift"), retrain=False)
    assert service.act(window(7, ads="drift"), retrain=False).step == "drift"
    assert read_history(service.receivers.history).trainings == ()
    assert service.act(window(14, ads="drift")).step == "train"


def test_receivers_that_are_away_lose_no_verdict_and_no_training(tmp_path: Path):
    service = Service(tmp_path, webhook=f"{AWAY}/api/v2/alerts", pushgateway=AWAY)
    service.act(window(0, ads="drift"))
    acted = service.act(window(7, ads="drift"))
    assert acted.step == "train"
    assert [text.split(" did not")[0] for text in acted.undelivered] == [f"{AWAY}/api/v2/alerts", AWAY]
    assert len(read_history(service.receivers.history).windows) == 2
    files = DriftFolder(service.out)
    assert "Not delivered:" in files.markdown.read_text()
    assert b"redrec_drift_undelivered 2.0" in files.metrics.read_bytes()


def test_the_files_say_the_same(tmp_path: Path):
    service = Service(tmp_path)
    acted = service.act(window(0, ads="drift", search="stable"))
    files = DriftFolder(service.out)
    assert {path.name for path in service.out.iterdir()} == {path.name for path in vars(files).values()} - {"out"}
    assert Drift.model_validate_json(files.verdicts.read_bytes()) == acted.drift
    (alert,) = json.loads(files.alerts.read_bytes())
    assert (alert["labels"]["scenario"], alert["labels"]["action"]) == ("ads", "watch")
    assert b'redrec_drift_action{action="watch",scenario="ads"} 1.0' in files.metrics.read_bytes()
    assert "| search | stable | planted: stable | none | nothing has changed |" in files.markdown.read_text()
    assert "<h2>ads" in files.timeline.read_text()


def test_a_training_needs_a_history_or_one_window(tmp_path: Path):
    with pytest.raises(InputError, match=r"Give history, or set drift.retrain_windows to 1"):
        act(window(0, ads="drift"), DriftConfig(), Receivers(), tmp_path, True, NOW)
    alone = act(window(0, ads="drift"), DriftConfig(retrain_windows=1), Receivers(), tmp_path, True, NOW)
    assert alone.step == "train"


@pytest.mark.parametrize("name", ["webhook", "pushgateway"])
def test_an_unusable_address_is_refused_before_anything_is_written(name: str, tmp_path: Path):
    service = Service(tmp_path, **{name: "alertmanager:9093"})
    with pytest.raises(InputError, match=f"{name} alertmanager:9093 is no address"):
        service.act(window(0, ads="drift"))
    assert list(tmp_path.iterdir()) == []


def test_a_result_without_windows_is_acted_on_and_not_kept(tmp_path: Path):
    service = Service(tmp_path)
    acted = service.act(Drift(windows=None, scenarios={"ads": scenario("insufficient")}))
    assert (acted.step, acted.drift.scenarios["ads"].action) == ("stable", "wait")
    assert read_history(service.receivers.history).windows == ()


def test_the_summary_shows_texts_of_the_user_as_texts():
    hostile = scenario("drift").model_copy(update={"reason": "new: <b>a|b</b>\nx"})
    text = actions_markdown(Acted(window(0, **{"<i>": hostile}), NOW, "drift", "", []))
    assert "| &lt;i&gt; | drift | new: &lt;b&gt;a&#124;b&lt;/b&gt; x |" in text
