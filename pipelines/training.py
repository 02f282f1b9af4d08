"""The training pipeline: raw tables in, a verified release bundle out, which is served if requested."""

from kfp import dsl

from components.prepare_data import prepare_data
from components.train_towers import train_towers
from pipelines.release import release_steps, without_telemetry


@dsl.pipeline(name="redrec-training")
def training_pipeline(
    events: str,
    items: str,
    recipe: str = "",
    milvus_uri: str = "",
    deploy: bool = False,
    namespace: str = "default",
) -> None:
    """From an event log and an item table to a release bundle.

    1. prepare_data checks the tables and fixes the time split.
    2. train_towers trains and exports the towers.
    3. release_steps evaluates the model, builds its bundle, and serves it if `deploy` is true.

    Args:
        events: Event log: a path or URL, see `redrec.data.sources`.
        items: Item table, likewise.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
        milvus_uri: Milvus server; empty for the embedded index inside the bundle.
        deploy: Whether to serve the bundle as a KServe InferenceService.
        namespace: Namespace of the service.
    """
    prepared = prepare_data(events=events, items=items, recipe=recipe)
    prepared.set_caching_options(False)  # the cache key is the path of the tables, not their content
    trained = train_towers(data=prepared.outputs["data"], recipe=recipe)
    without_telemetry(prepared, trained)
    release_steps(
        data=prepared.outputs["data"],
        model=trained.outputs["model"],
        recipe=recipe,
        milvus_uri=milvus_uri,
        deploy=deploy,
        namespace=namespace,
    )
