"""An experiment's log and plan in, a decision per scenario out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def decide_experiment(
    log: str,
    plan: str,
    decisions: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Decide every scenario at the planned end, and return what to do with the service: promote, hold or rollback.

    Args:
        log: Experiment log, a Parquet file: a path or s3://bucket/key.
        plan: Fields of `redrec.experiments.gate.Plan` as JSON.
        decisions: Verdict, reason and numbers of each scenario, as JSON.
        summary: Verdict and reason as a Markdown table.
    """
    import json
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from components.start import start_step

    start_step()
    from redrec.config import validated
    from redrec.experiments.gate import Plan, decisions_markdown, fixed_horizon_gate, joint_verdict, read_log
    from redrec.folders import write_json
    from redrec.store.objects import local_path

    with TemporaryDirectory() as scratch:
        table = read_log(local_path(log, Path(scratch)))
    decided = fixed_horizon_gate(table, validated(Plan, json.loads(plan), "plan"))
    write_json(Path(decisions.path), {name: decision.model_dump() for name, decision in decided.items()})
    Path(summary.path).write_text(decisions_markdown(decided), encoding="utf-8")
    return joint_verdict(decided)
