"""Before step 3, without a training: an earlier model in, the same model for the items of newer data out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def embed_items(
    data: dsl.Input[dsl.Dataset],
    trained: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Embed the items that are new since the training by their content; all others keep their vectors.

    Args:
        data: Folder written by prepare_data.
        trained: Folder written by train_towers, on earlier data with the same scenarios and actions.
        model: Folder with exported towers and manifest, which is evaluated and released like one of train_towers.
        metrics: Number of new items.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.training.new_items import with_new_items

    metrics.log_metric("new_items", with_new_items(Path(trained.path), Path(data.path), Path(model.path)))
