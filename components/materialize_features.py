"""Step 4: users' histories per scenario into the feature store."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(data: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Artifact]) -> str:
    """Apply the feature definitions and load the newest histories; return the definitions' hash.

    Args:
        data: Folder written by prepare_data.
        features: Feature repository with its registry and online store.
    """
    from pathlib import Path

    from components.logs import quiet_libraries
    from feature_repo.materialize import materialize

    quiet_libraries()
    return str(materialize(Path(data.path), Path(features.path))["feature_hash"])
