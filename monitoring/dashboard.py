"""Dashboard: what Evidently's service shows of a scenario over time, one line per column.

It is written anew with each snapshot, so that new columns appear. Tabs of other names are left as they are.
"""

from typing import TYPE_CHECKING

from monitoring.snapshots import DISTANCE, NUMBER, metric_columns, number_name

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.sdk.models import DashboardModel, DashboardPanelPlot

TAB = "Drift"
COUNTS = {
    "Users": ("users, reference", "users, current"),
    "Events": ("events, reference", "events, current"),
}
OF_COLUMNS = {
    "effect": ("Effect", "The size of each column's change, 0 to 1."),
    "p_adjusted": ("Adjusted p", "How often chance alone makes a change so large in any column of any scenario."),
}


def with_own_tab(dashboard: "DashboardModel", snapshot: "Snapshot") -> "DashboardModel":
    """Return the dashboard with the tab TAB as it is for the columns of `snapshot`."""
    from evidently.sdk.models import DashboardModel, DashboardTabModel

    others = [tab for tab in dashboard.tabs if tab.title != TAB]
    others_panels = {panel for tab in others for panel in tab.panels}
    kept = [panel for panel in dashboard.panels if panel.id in others_panels]
    own = _panels(snapshot)
    tab = DashboardTabModel(title=TAB, panels=[panel.id for panel in own])
    return DashboardModel(tabs=[tab, *others], panels=[*own, *kept])


def _panels(snapshot: "Snapshot") -> "list[DashboardPanelPlot]":
    panels = [_lines("Changed columns", "The verdict names them.", NUMBER, {"changed columns": "changed"})]
    panels += [
        _lines(title, "In each window.", NUMBER, dict(zip(names, names, strict=True)))
        for title, names in COUNTS.items()
    ]
    numbers = metric_columns(snapshot, NUMBER)
    for figure, (title, subtitle) in OF_COLUMNS.items():
        prefix = number_name(figure, "")
        legends = {name: name.removeprefix(prefix) for name in numbers if name.startswith(prefix)}
        panels.append(_lines(title, subtitle, NUMBER, legends))
    subtitle = "Evidently's distance between the windows; no verdict."
    return panels + [_lines(name, subtitle, DISTANCE, {name: name}) for name in metric_columns(snapshot, DISTANCE)]


def _lines(title: str, subtitle: str, metric: str, legends: dict[str, str]) -> "DashboardPanelPlot":
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    values = [
        PanelMetric(legend=legend, metric=metric, metric_labels={"column": column})
        for column, legend in legends.items()
    ]
    return line_plot_panel(title=title, values=values, description=subtitle, size="half")
