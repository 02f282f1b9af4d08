"""Step 3: towers in, full-catalogue metrics of the model, the live model and the baselines per scenario out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def evaluate_model(
    data: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    live: str = "",
    live_identity: str = "",
) -> None:
    """Rank the full catalogue of each scenario for the test users, with the model, the live one and the baselines.

    Args:
        data: Folder written by prepare_data.
        model: Folder written by train_towers.
        evaluation: Folder with metrics.json, users.parquet, examples.json and recipe.yaml.
        metrics: hit_rate@10 per scenario with test users and model.
        live: Release in service, with its bundle: a path or s3://bucket/folder; empty before the first release.
        live_identity: That of the live release, from identify_inputs; the result is cached by it.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from components.start import start_step

    start_step()
    from redrec.bundle.live import live_scorers
    from redrec.evaluation.evaluate import evaluate
    from redrec.folders import RunFolder
    from redrec.store.objects import local_path

    with TemporaryDirectory() as scratch:
        bundle = RunFolder(local_path(live, Path(scratch))).bundle if live else None
        scorers = live_scorers(bundle, Path(data.path)) if bundle else {}
        results = evaluate(Path(data.path), Path(model.path), Path(evaluation.path), scorers)
    for scenario, models in results["scenarios"].items():
        for name, figures in models.items():
            if figures["hit_rate@10"]["users"]:  # without users there is no value, and KFP takes numbers only
                metrics.log_metric(f"{scenario}/{name}/hit_rate@10", figures["hit_rate@10"]["value"])
