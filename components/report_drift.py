"""Step 6: the data folder in, a drift verdict and report per scenario out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def report_drift(
    data: dsl.Input[dsl.Dataset],
    drift: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    recipe: str = "",
) -> None:
    """Compare the training window with the newest window, one report per scenario.

    Args:
        data: Folder written by prepare_data.
        drift: Folder with one HTML report per scenario and drift.json.
        summary: Verdict per scenario, as a Markdown table.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; only its section drift, the thresholds, is used.
    """
    from html import escape
    from pathlib import Path

    from components.start import start_step

    start_step()
    from monitoring.reports import report_drift
    from redrec.config import section
    from redrec.drift.verdicts import DriftConfig

    verdicts = report_drift(Path(data.path), Path(drift.path), section(recipe, "drift", DriftConfig))
    names = {scenario: escape(scenario).replace("|", "&#124;") for scenario in verdicts}
    rows = "".join(f"| {names[scenario]} | {of_scenario['verdict']} |\n" for scenario, of_scenario in verdicts.items())
    Path(summary.path).write_text(f"| scenario | verdict |\n|---|---|\n{rows}", encoding="utf-8")
