"""Reports: the page of a scenario and the page of all of them, opened in a browser where it matters."""

import re

import pytest

from monitoring import reports
from monitoring.reports import report_page, write_reports
from monitoring.snapshots import evidently, scenario_snapshots
from redrec.drift.verdicts import Drift
from tests.browser import in_browser
from tests.monitoring.logs import HOSTILE, NAMES, TIME, drift_of, drifted, events, insufficient, logs_of
from tests.monitoring.looks import has_run, look

DRIFT = drift_of(drifted(), insufficient())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    write_reports(scenario_snapshots(logs_of(events(0), events(1, shift=1.0)), DRIFT, TIME), folder)
    (folder / "page").write_text(report_page(DRIFT, folder))
    return folder


def test_each_scenario_has_a_page_of_its_own(out):
    names = sorted(path.name for path in out.glob("*.html"))
    assert names[0] == "ads.html"
    assert re.fullmatch(r"search_\w+\.html", names[1])
    assert len(names) == len(NAMES)


def test_the_page_shows_our_verdict_on_each_column(out):
    page = (out / "page").read_text()
    for cell in ("score", "drift", "0.006", "0.21", "0.03", "permutation"):
        assert f"<td>{cell}</td>" in page
    assert "Action: watch" in page


def test_the_page_escapes_what_users_name(out):
    page = (out / "page").read_text()
    assert "search&lt;/script&gt;&lt;img" in page
    assert HOSTILE not in page


def test_the_page_puts_changed_scenarios_first_and_leaves_out_reports_beyond_its_limit(out, monkeypatch):
    monkeypatch.setattr(reports, "MAX_REPORTS", 1)
    order = Drift(
        windows=None, scenarios={NAMES[1]: insufficient().model_copy(update={"verdict": "stable"}), NAMES[0]: drifted()}
    )
    page = report_page(order, out)
    assert page.index("<h2>ads") < page.index("<h2>search")
    assert page.count("<iframe") == 1
    assert "No two windows are comparable" in page


@in_browser
def test_a_browser_runs_a_hostile_category_of_evidentlys_own_page(browser, tmp_path):
    """The trap is real: without `monitoring.texts` this test's category runs."""
    import pandas as pd

    frame = pd.DataFrame({"category": [HOSTILE, "travel"] * 20})
    with evidently():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

        data = Dataset.from_pandas(frame, data_definition=DataDefinition(categorical_columns=["category"]))
        Report([ValueDrift(column="category")]).run(data, data).save_html(str(tmp_path / "own.html"))
    with look(browser, (tmp_path / "own.html").as_uri()) as page:
        page.wait_for_function("window.ran")
        assert has_run(page)


@in_browser
def test_a_browser_shows_a_hostile_category_as_text_and_runs_nothing(browser, out):
    for file in out.glob("*.html"):
        with look(browser, file.as_uri(), out / f"{file.stem}.png") as page:
            page.locator("svg.main-svg").first.wait_for()
            assert page.locator("svg text", has_text="‹/script>‹img").count() > 0
            assert page.get_by_text("‹/script>‹img").count() > 0
            assert not has_run(page)


@in_browser
def test_a_browser_shows_all_reports_on_one_page_and_runs_nothing_of_theirs(browser, out):
    with look(browser, "about:blank", out / "page.png") as page:
        page.set_content((out / "page").read_text())
        for number in range(len(NAMES)):
            frame = page.locator("iframe").nth(number)
            frame.scroll_into_view_if_needed()
            frame.content_frame.locator("svg.main-svg").first.wait_for()
        assert page.locator("h2", has_text=f"search{HOSTILE}").is_visible()
        assert not has_run(page)
