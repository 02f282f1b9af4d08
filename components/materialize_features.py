"""Step 4: users' histories per scenario in, an up-to-date feature store out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    recipe: str = "",
) -> str:
    """Apply the feature definitions and update the online store; return the definitions' hash.

    The store is Redis if the environment variable REDREC_REDIS is set, otherwise a file in `features`.

    Args:
        data: Folder written by prepare_data.
        features: Feature repository, with its registry and online store unless they are on a server.
        metrics: Users, histories written, seconds, and the age of the newest event.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; its data engine and history length are used.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from feature_repo.materialize import kept_events, materialize
    from redrec.config import section
    from redrec.data.prepare import DataConfig
    from redrec.history import HistoryConfig

    max_events = kept_events(section(recipe, "history", HistoryConfig))
    engine = section(recipe, "data", DataConfig).engine
    materialized = materialize(Path(data.path), Path(features.path), max_events, engine)
    for name in ("users", "written", "seconds", "age_s"):
        metrics.log_metric(name, materialized[name])
    return materialized["feature_hash"]
