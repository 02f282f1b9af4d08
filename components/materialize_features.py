"""Step 4: users' histories per scenario into the feature store."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(data: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Artifact], recipe: str = "") -> str:
    """Apply the feature definitions and load the newest histories; return the definitions' hash.

    Args:
        data: Folder written by prepare_data.
        features: Feature repository with its registry and online store.
        recipe: Fields of `redrec.recipe.Recipe` as JSON; empty for the defaults. It says how long a history is.
    """
    from pathlib import Path

    from components.logs import quiet_libraries
    from feature_repo.materialize import MAX_EVENTS, materialize
    from redrec.recipe import Recipe

    quiet_libraries()
    read_by_the_model = Recipe.model_validate_json(recipe or "{}").history.max_of_one_scenario
    found = materialize(Path(data.path), Path(features.path), max(MAX_EVENTS, read_by_the_model))
    return str(found["feature_hash"])
