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
        model: Folder with recipe, checkpoint and exported towers.
        metrics: Final losses.
        recipe: Fields of `redrec.recipe.Recipe` as JSON; empty for the defaults.
    """
    from pathlib import Path

    from components.logs import quiet_libraries
    from redrec.recipe import Recipe
    from redrec.training.trainer import train

    quiet_libraries()
    figures = train(Path(data.path), Path(model.path), Recipe.model_validate_json(recipe or "{}"))
    for name, value in figures.items():
        metrics.log_metric(name, value)
