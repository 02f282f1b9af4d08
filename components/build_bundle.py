"""Step 5: all files of a release, under one id."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def build_bundle(
    data: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    features: dsl.Input[dsl.Artifact],
    feature_hash: str,
    release: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    recipe: str = "",
    milvus_uri: str = "",
) -> None:
    """Build and verify the item index, write the release bundle, and copy the features next to it.

    Args:
        data: Folder written by prepare_data.
        model: Folder written by train_towers.
        evaluation: Folder written by evaluate_model.
        features: Folder written by materialize_features.
        feature_hash: Hash of the feature definitions, returned by materialize_features.
        release: Folder with `bundle` and `features`, which the server mounts.
        metrics: Recall of the index against exact search, per scenario and some of its categories.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; only its section index is used.
        milvus_uri: Milvus server, with the environment's login; empty to search the bundle's embeddings in process.
    """
    import os
    import shutil
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.bundle.builder import build_bundle
    from redrec.config import section
    from redrec.folders import EvaluationFolder, RunFolder
    from redrec.index.config import IndexConfig
    from redrec.index.server import milvus_server

    out = RunFolder(Path(release.path))
    shutil.copytree(features.path, out.features)
    built = build_bundle(
        Path(data.path),
        Path(model.path),
        out.bundle,
        metrics=EvaluationFolder(Path(evaluation.path)).metrics,
        feature_hash=feature_hash,
        index=section(recipe, "index", IndexConfig),
        server=milvus_server(milvus_uri, os.environ),
    )
    release.metadata["bundle_id"] = built.manifest.id
    for recall in built.manifest.index.recall:
        metrics.log_metric(f"{recall.name}/index_recall@10", recall.recall_at_10)
        metrics.log_metric(f"{recall.name}/index_recall@100", recall.recall_at_100)
