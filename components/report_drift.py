"""Step 6: the data folder in, a drift verdict and report per scenario out, and what follows from them."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def report_drift(
    data: dsl.Input[dsl.Dataset],
    drift: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    report: dsl.Output[dsl.HTML],
    timeline: dsl.Output[dsl.HTML],
    recipe: str = "",
    history: str = "",
    webhook: str = "",
    pushgateway: str = "",
    workspace: str = "",
    service: str = "redrec",
    retrain: bool = False,
) -> str:
    """Compare the newest window with the training's, per scenario; keep, act and say; return train, drift or stable.

    `train` is drift in enough of a scenario's newest windows (`redrec.drift.actions`), if `retrain` is true.

    Args:
        data: Folder written by prepare_data.
        drift: Folder with drift.json, one HTML report per scenario, the alerts and the metrics.
        summary: Verdict, action and reasons per scenario, as a Markdown table.
        report: All reports on one page.
        timeline: Verdicts and actions of past windows, as a page.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; only its section drift is used.
        history: File with the verdicts of past windows, which gets this one: a path or s3://bucket/key; empty: none.
        webhook: Address that takes alerts as Alertmanager does; empty: none are sent.
        pushgateway: Address of Prometheus' Pushgateway, which gets the metrics; empty: none are sent.
        workspace: Evidently workspace that gets the reports, a folder or its service's address; empty: none does.
        service: Name of the service in alerts and metrics.
        retrain: Whether drift starts a training.
    """
    import shutil
    from datetime import UTC, datetime
    from pathlib import Path

    from components.start import start_step

    start_step()
    from monitoring.reports import report_page, write_reports
    from monitoring.snapshots import scenario_snapshots
    from monitoring.workspace import show
    from redrec.config import section
    from redrec.drift.act import Receivers, act, kept_history
    from redrec.drift.config import DriftConfig
    from redrec.drift.drift import opened_data
    from redrec.folders import DriftFolder

    config, folder = section(recipe, "drift", DriftConfig), Path(drift.path)
    receivers = Receivers(history, webhook, pushgateway, service)
    with opened_data(Path(data.path), kept_history(receivers)) as windows:
        acted = act(windows.drift(config), config, receivers, folder, retrain, datetime.now(UTC))
        snapshots = scenario_snapshots(windows.logs, acted.drift, acted.time)
    write_reports(snapshots, folder)
    show(snapshots, workspace)
    Path(report.path).write_text(report_page(acted.drift, folder), encoding="utf-8")
    shutil.copyfile(DriftFolder(folder).markdown, summary.path)
    shutil.copyfile(DriftFolder(folder).timeline, timeline.path)
    return acted.step
