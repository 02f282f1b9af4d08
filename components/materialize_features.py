"""Step 4: users' histories per scenario into the feature store."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    recipe: str = "",
) -> str:
    """Apply the feature definitions and bring the online store up to date; return the definitions' hash.

    The store is Redis where the environment has REDREC_REDIS, otherwise a file in `features`.

    Args:
        data: Folder written by prepare_data.
        features: Feature repository, with its registry and online store unless they are elsewhere.
        metrics: Users, histories written, seconds, and the age of the newest event.
        recipe: Fields of `redrec.recipe.Recipe` as JSON, empty for the defaults: the engine, and how long a history is.
    """
    from pathlib import Path

    from components.logs import quiet_libraries
    from feature_repo.materialize import kept_events, materialize
    from redrec.recipe import Recipe

    quiet_libraries()
    config = Recipe.model_validate_json(recipe or "{}")
    found = materialize(Path(data.path), Path(features.path), kept_events(config.history), config.data.engine)
    for name in ("users", "written", "seconds", "age_s"):
        metrics.log_metric(name, found[name])
    return found["feature_hash"]
