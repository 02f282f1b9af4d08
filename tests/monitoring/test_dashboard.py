"""Dashboards: the panels of a scenario follow its columns, and nobody else's tab is touched."""

import pytest

from monitoring.dashboard import with_own_tab
from monitoring.snapshots import scenario_snapshots
from redrec.drift.verdicts import Drift
from tests.monitoring.logs import TIME, WINDOWS, drifted, events, insufficient, logs_of


def snapshot_of(scenario):
    drift = Drift(windows=WINDOWS, scenarios={"ads": scenario})
    return scenario_snapshots(logs_of(events(0), events(1)), drift, TIME)["ads"]


@pytest.fixture(scope="module")
def empty():
    snapshot_of(insufficient())  # its import of Evidently warns
    from evidently.sdk.models import DashboardModel

    return DashboardModel(tabs=[], panels=[])


def titles(dashboard) -> list[str]:
    return [panel.title for panel in dashboard.panels]


def test_a_scenario_has_panels_for_its_verdict_and_for_each_distance(empty):
    dashboard = with_own_tab(empty, snapshot_of(drifted()))
    assert titles(dashboard)[:6] == ["Changed columns", "Users", "Events", "Effect", "Adjusted p", "num_events"]
    assert "score" in titles(dashboard)
    assert [tab.title for tab in dashboard.tabs] == ["Drift"]
    assert dashboard.tabs[0].panels == [panel.id for panel in dashboard.panels]


def test_a_window_without_tests_keeps_the_panels_of_earlier_ones(empty):
    earlier = with_own_tab(empty, snapshot_of(drifted()))
    assert titles(with_own_tab(earlier, snapshot_of(insufficient()))) == titles(earlier)


def test_writing_a_dashboard_again_adds_no_panel(empty):
    once = with_own_tab(empty, snapshot_of(drifted()))
    assert titles(with_own_tab(once, snapshot_of(drifted()))) == titles(once)


def test_tabs_of_others_are_left_as_they_are(empty):
    from evidently.sdk.models import DashboardModel, DashboardTabModel
    from evidently.sdk.panels import text_panel

    panel = text_panel(title="On call: Ada")
    theirs = DashboardModel(tabs=[DashboardTabModel(title="Notes", panels=[panel.id])], panels=[panel])
    dashboard = with_own_tab(with_own_tab(theirs, snapshot_of(drifted())), snapshot_of(drifted()))
    assert [tab.title for tab in dashboard.tabs] == ["Drift", "Notes"]
    assert titles(dashboard).count("On call: Ada") == 1
