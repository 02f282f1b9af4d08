"""Step 2: the data folder in, trained and exported towers out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def train_towers(
    data: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    recipe: str = "",
) -> None:
    """Train the item and user towers on the training window and export them.

    Args:
        data: Folder written by prepare_data.
        model: Folder with recipe, checkpoint, exported towers and manifest.
        metrics: Final losses.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
    """
    import json
    from pathlib import Path

    from components.start import start_step

    start_step()  # before torch is imported: it reads the number of threads then
    from redrec.config import validated
    from redrec.training.recipe import Recipe
    from redrec.training.trainer import train

    figures = train(Path(data.path), Path(model.path), validated(Recipe, json.loads(recipe or "{}"), "recipe"))
    for name, value in figures.items():
        metrics.log_metric(name, value)
