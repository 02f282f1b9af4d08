"""Step 6: has the newest window of events left the training window?"""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def report_drift(
    data: dsl.Input[dsl.Dataset],
    drift: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
) -> None:
    """Compare the training window with the newest window, one report per scenario.

    Args:
        data: Folder written by prepare_data.
        drift: Folder with one HTML report per scenario and drift.json.
        summary: Verdict per scenario.
    """
    from pathlib import Path

    from components.logs import quiet_libraries
    from monitoring.drift import report_drift

    quiet_libraries()
    verdicts = report_drift(Path(data.path), Path(drift.path))
    rows = "".join(f"| {scenario} | {found['verdict']} |\n" for scenario, found in verdicts.items())
    Path(summary.path).write_text(f"| scenario | verdict |\n|---|---|\n{rows}", encoding="utf-8")
