"""The workspace: what a folder and Evidently's real service hold after runs, and what a browser shows of it."""

import json
import urllib.request
from datetime import timedelta

import pytest

from monitoring.snapshots import scenario_snapshots
from monitoring.workspace import SECRET, add_to_workspace, project_id, show
from redrec.config import InputError
from tests.browser import in_browser
from tests.monitoring import service
from tests.monitoring.logs import NAMES, TIME, drift_of, drifted, events, insufficient, logs_of
from tests.monitoring.looks import has_run, look

WEEK = timedelta(days=7)
NUM_WINDOWS = 3


def snapshots_of(window: int):
    """Return the snapshots of a week; users, effect and distance change from week to week."""
    logs = logs_of(events(0), events(window + 1, shift=0.5 * window))
    drift = drift_of(drifted(num_users=60 - window, effect=0.1 * (window + 1)), insufficient())
    return scenario_snapshots(logs, drift, TIME + window * WEEK)


@pytest.fixture(scope="module")
def weeks():
    return [snapshots_of(window) for window in range(NUM_WINDOWS)]


def times_in(folder, scenario: str) -> list[str]:
    files = (folder / str(project_id(scenario)) / "snapshots").iterdir()
    return sorted(json.loads(file.read_text())["timestamp"] for file in files)


def test_a_scenario_has_a_project_of_its_own(tmp_path, weeks):
    add_to_workspace(weeks[0], str(tmp_path), keep=5)
    projects = {path.name for path in tmp_path.iterdir() if (path / "metadata.json").exists()}
    assert projects == {str(project_id(name)) for name in NAMES}


def test_a_repeated_run_replaces_its_snapshot(tmp_path, weeks):
    for week in (weeks[0], weeks[1], weeks[0]):
        add_to_workspace(week, str(tmp_path), keep=5)
    assert times_in(tmp_path, "ads") == ["2026-01-19T00:00:00", "2026-01-26T00:00:00"]


def test_only_the_newest_snapshots_are_kept(tmp_path, weeks):
    for week in weeks:
        add_to_workspace(week, str(tmp_path), keep=2)
    assert times_in(tmp_path, "ads") == ["2026-01-26T00:00:00", "2026-02-02T00:00:00"]


def test_a_snapshot_that_a_killed_run_left_in_part_is_removed(tmp_path, weeks):
    add_to_workspace(weeks[0], str(tmp_path), keep=5)
    (file,) = (tmp_path / str(project_id("ads")) / "snapshots").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    add_to_workspace(weeks[1], str(tmp_path), keep=5)
    assert times_in(tmp_path, "ads") == ["2026-01-26T00:00:00"]


def test_a_service_that_does_not_answer_is_named():
    with pytest.raises(InputError, match=r"127.0.0.1:9 does not answer as Evidently's service"):
        add_to_workspace({}, "http://127.0.0.1:9", keep=1)


@pytest.fixture(scope="module")
def url(tmp_path_factory, weeks):
    """Evidently's service, to which the weeks were sent, the second one twice."""
    with service.evidently_service(tmp_path_factory.mktemp("service")) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, service.SECRET)
        for week in (*weeks, weeks[1]):
            add_to_workspace(week, url, keep=NUM_WINDOWS)
        yield url


def kept_by(url: str) -> list[dict]:
    with urllib.request.urlopen(f"{url}/api/projects/{project_id('ads')}/snapshots") as answer:
        return json.load(answer)


@pytest.mark.slow
def test_the_service_takes_a_repeated_run_once(url):
    assert sorted(one["timestamp"] for one in kept_by(url)) == [
        "2026-01-19T00:00:00",
        "2026-01-26T00:00:00",
        "2026-02-02T00:00:00",
    ]


@pytest.mark.slow
def test_the_service_refuses_whoever_does_not_know_its_secret(url, weeks, monkeypatch):
    monkeypatch.setenv(SECRET, "guessed")
    with pytest.raises(InputError, match=f"Set {SECRET} to its secret"):
        add_to_workspace(weeks[0], url, keep=1)
    assert len(kept_by(url)) == NUM_WINDOWS


@pytest.mark.slow
@in_browser
def test_the_service_lists_a_project_for_each_scenario(url, browser, tmp_path):
    with look(browser, url, tmp_path / "projects.png") as page:
        page.get_by_text("ads", exact=True).wait_for()
        assert page.get_by_text("search‹/script>‹img").count() == 1
        assert not has_run(page)


@pytest.mark.slow
@in_browser
def test_the_dashboard_of_a_scenario_shows_every_window_of_every_line(url, browser, tmp_path):
    with look(browser, f"{url}/projects/{project_id('ads')}", tmp_path / "dashboard.png") as page:
        lines = {"Changed columns": 1, "Users": 2, "Events": 2, "Effect": 3, "Adjusted p": 3, "score": 1, "category": 1}
        for title, num_lines in lines.items():
            panel = page.locator(".MuiPaper-root").filter(has=page.get_by_text(title, exact=True)).last
            panel.locator(".MuiMarkElement-root").first.wait_for()
            assert panel.locator(".MuiMarkElement-root").count() == NUM_WINDOWS * num_lines, title
        assert page.get_by_text("weight‹/script>‹img").count() > 0
        assert not has_run(page)


@pytest.mark.slow
@in_browser
def test_a_report_in_the_service_shows_the_verdict_and_runs_no_hostile_text(url, browser, tmp_path):
    newest = max(kept_by(url), key=lambda one: one["timestamp"])
    with look(browser, f"{url}/projects/{project_id('ads')}/reports/{newest['id']}", tmp_path / "report.png") as page:
        page.get_by_text("ads: drift").wait_for()
        page.locator("svg.main-svg").first.wait_for()
        row = page.locator("tr", has_text="score").all_inner_texts()
        assert [text.split("\t")[:2] for text in row] == [["score", "drift"]]
        assert "0.006" in row[0]
        assert page.locator("svg text", has_text="‹/script>‹img").count() > 0
        assert not has_run(page)


def test_a_workspace_that_cannot_be_reached_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture):
    show({}, "http://127.0.0.1:9")
    assert "The workspace http://127.0.0.1:9 does not answer" in caplog.text
    caplog.clear()
    show({}, "")
    assert caplog.text == ""
