"""Before step 3, without a training: an earlier model and embedded shards in, the same model for newer items out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def embed_items(
    data: dsl.Input[dsl.Dataset],
    trained: dsl.Input[dsl.Model],
    shards: dsl.Input[list[dsl.Artifact]],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Merge the embedded shards with the vectors of the items that have not changed since the training.

    Args:
        data: Folder written by prepare_data.
        trained: Folder written by train_towers, on earlier data with the same scenarios and actions.
        shards: Folders written by embed_shard.
        model: Folder with exported towers and manifest, which is evaluated and released like one of train_towers.
        metrics: Numbers of items that were embedded, are new, have changed, and were withdrawn.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.training.new_items import with_new_items

    folders = [Path(shard.path) for shard in shards]
    changes = with_new_items(Path(trained.path), Path(data.path), folders, Path(model.path))
    for name, value in changes.counts().items():
        metrics.log_metric(name, value)
