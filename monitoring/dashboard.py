"""Dashboard: what Evidently's service shows of a scenario over time, one line per column.

It is written anew with each snapshot, so that new columns appear; earlier ones stay, and so do tabs of other names.
"""

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from monitoring.snapshots import CHANGED, DISTANCE, NUMBER, WINDOWS, count_name, metric_columns, number_name
from monitoring.texts import label

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.sdk.models import DashboardModel, DashboardPanelPlot

TAB = "Drift"
MAX_LEGEND = 20  # characters; the legend takes its room from the plot
COUNTS = {"Users": "users", "Events": "events"}
OF_COLUMNS = {
    "effect": ("Effect", "The size of each column's change, 0 to 1."),
    "p_adjusted": ("Adjusted p", "How often chance alone makes a change so large in any column of any scenario."),
}


def with_own_tab(dashboard: "DashboardModel", snapshot: "Snapshot") -> "DashboardModel":
    """Return the dashboard with the tab TAB as it is for the columns of `snapshot`."""
    from evidently.sdk.models import DashboardModel, DashboardTabModel

    others = [tab for tab in dashboard.tabs if tab.title != TAB]
    on_others = set(chain.from_iterable(tab.panels for tab in others))
    kept = [panel for panel in dashboard.panels if panel.id in on_others]
    shown = [panel for panel in dashboard.panels if panel.id not in on_others]
    own = _panels(_columns(snapshot, shown, NUMBER), _columns(snapshot, shown, DISTANCE))
    tab = DashboardTabModel(title=TAB, panels=[panel.id for panel in own])
    return DashboardModel(tabs=[tab, *others], panels=[*own, *kept])


def _columns(snapshot: "Snapshot", shown: "list[DashboardPanelPlot]", metric: str) -> list[str]:
    """Return what a metric is given for in the snapshot, and what the panels show already: a window may lack it."""
    lines = chain.from_iterable(panel.values for panel in shown)
    earlier = [line.metric_labels["column"] for line in lines if line.metric.endswith(f":{metric}")]
    return list(dict.fromkeys([*metric_columns(snapshot, metric), *earlier]))


def _panels(numbers: list[str], distances: list[str]) -> "list[DashboardPanelPlot]":
    panels = [_lines("Changed columns", "The verdict names them.", NUMBER, {CHANGED: "changed"})]
    for title, what in COUNTS.items():
        counts = {count_name(what, window): window for window in WINDOWS}
        panels.append(_lines(title, "In each window.", NUMBER, counts))
    for figure, (title, subtitle) in OF_COLUMNS.items():
        prefix = number_name(figure, "")
        legends = {name: name.removeprefix(prefix) for name in numbers if name.startswith(prefix)}
        panels += [_lines(title, subtitle, NUMBER, legends)] if legends else []
    subtitle = "Evidently's distance between the windows; no verdict."
    return panels + [_lines(name, subtitle, DISTANCE, {name: "distance"}) for name in distances]


def _lines(title: str, subtitle: str, metric: str, legends: Mapping[str, str]) -> "DashboardPanelPlot":
    """Return a panel with a line for each name that the metric is given for."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    values = [
        PanelMetric(legend=label(legend, MAX_LEGEND), metric=metric, metric_labels={"column": name})
        for name, legend in legends.items()
    ]
    return line_plot_panel(title=title, values=values, description=subtitle, size="half")
