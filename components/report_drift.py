"""Step 6: the data folder in, a drift verdict and report per scenario out, and what follows from them."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def report_drift(
    data: dsl.Input[dsl.Dataset],
    drift: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    report: dsl.Output[dsl.HTML],
    recipe: str = "",
    retrain: bool = False,
) -> str:
    """Compare the training window with the newest window, one report per scenario; return train, drift or stable.

    `train` is drift in a scenario if `retrain` is true. A scenario with too few users is neither drifted nor stable.

    Args:
        data: Folder written by prepare_data.
        drift: Folder with one HTML report per scenario and drift.json.
        summary: Verdict and reason per scenario, as a Markdown table.
        report: All reports on one page.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; only its section drift, the thresholds, is used.
        retrain: Whether drift starts a training.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from monitoring.reports import report_drift, report_page
    from redrec.config import section
    from redrec.drift.verdicts import DriftConfig, next_step, verdicts_markdown

    verdicts = report_drift(Path(data.path), Path(drift.path), section(recipe, "drift", DriftConfig))
    Path(report.path).write_text(report_page(Path(drift.path), verdicts), encoding="utf-8")
    Path(summary.path).write_text(verdicts_markdown(verdicts), encoding="utf-8")
    return next_step(verdicts, retrain)
