"""An experiment's tables and plan in, a decision per scenario out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def decide_experiment(
    exposures: str,
    outcomes: str,
    plan: str,
    decisions: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    pictures: dsl.Output[dsl.HTML],
) -> str:
    """Decide every scenario from the days that are complete, and return what to do with the service.

    That is promote, rollback, hold, invalid or insufficient.

    Args:
        exposures: Exposures, a Parquet file: a path or s3://bucket/key.
        outcomes: Outcomes, likewise.
        plan: Fields of `redrec.experiments.plan.Plan` as JSON.
        decisions: Verdict, reason and numbers of each scenario, as JSON.
        summary: Verdict and reason as a Markdown table.
        pictures: Effect, boundaries and sample ratio of each scenario by day, as a page.
    """
    import json
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from components.start import start_step

    start_step()
    from redrec.config import validated
    from redrec.experiments.decisions import decisions_markdown
    from redrec.experiments.experiment import Experiment
    from redrec.experiments.plan import Plan
    from redrec.experiments.report import page
    from redrec.folders import write_json
    from redrec.store.objects import local_path

    planned = validated(Plan, json.loads(plan), "plan")
    with TemporaryDirectory() as scratch:
        exposed = local_path(exposures, Path(scratch) / "exposures")
        happened = local_path(outcomes, Path(scratch) / "outcomes")
        looks = Experiment(exposed, happened, planned).decide()
    decided = looks[-1]
    write_json(Path(decisions.path), decided.model_dump(mode="json", by_alias=True))
    Path(summary.path).write_text(decisions_markdown(decided.scenarios), encoding="utf-8")
    Path(pictures.path).write_text(page(looks, planned), encoding="utf-8")
    return decided.verdict
