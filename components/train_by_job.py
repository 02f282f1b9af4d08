"""Step 2 on several nodes: the data folder in, towers out that a TrainJob has trained."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def train_by_job(
    data: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    job: str,
    recipe: str = "",
) -> None:
    """Start a TrainJob of Kubeflow Trainer, follow it to its end, and fetch the towers that it trained.

    Args:
        data: Folder written by prepare_data.
        model: Folder with recipe, checkpoint, exported towers and manifest.
        metrics: Final losses.
        job: Fields of `jobs.train_run.StepJob` as JSON: claim, nodes and resources, from the platform's settings.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from jobs.train_run import train_by_job

    figures = train_by_job(Path(data.path), Path(model.path), model.uri, recipe, job)
    for name, value in figures.items():
        metrics.log_metric(name, value)
