"""Before step 3, without a training: one shard of the items that an earlier model does not know as they are."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def embed_shard(
    data: dsl.Input[dsl.Dataset],
    trained: dsl.Input[dsl.Model],
    shard: dsl.Output[dsl.Artifact],
    index: int = 0,
    count: int = 1,
) -> None:
    """Embed one of several shards of the items that are new or have changed since the training.

    Args:
        data: Folder written by prepare_data.
        trained: Folder written by train_towers, on earlier data with the same scenarios and actions.
        shard: Folder with the vectors, for embed_items.
        index: Which shard, from 0.
        count: Into how many shards the items are dealt out.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.training.new_items import embed_shard

    embed_shard(Path(trained.path), Path(data.path), index, count, Path(shard.path))
