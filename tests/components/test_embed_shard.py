"""Before step 3, without a training: a catalog that has not changed gives empty shards."""

from pathlib import Path

from kfp import dsl

from components.embed_shard import embed_shard
from redrec.folders import ShardFolder
from redrec.training.shards import rows_in
from tests.components.conftest import Steps


def test_nothing_is_embedded_where_nothing_has_changed(steps: Steps, tmp_path: Path):
    shard = dsl.Artifact(uri=str(tmp_path / "shard"))
    embed_shard.python_func(steps.data, steps.model, shard, 1, 2)
    folder = ShardFolder(tmp_path / "shard")
    assert len(rows_in(folder.item_vectors)) == len(rows_in(folder.item_embeddings)) == 0
