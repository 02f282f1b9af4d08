"""The train pipeline: raw tables in, a verified release bundle out, which is served if requested and good enough."""

from kfp import dsl

from components.identify_inputs import identify_inputs
from components.prepare_data import prepare_data
from pipelines.release import Pipeline, release_steps
from pipelines.settings import ClusterSettings, configure, end_reported
from pipelines.training import training_step


def train_pipeline(settings: ClusterSettings) -> Pipeline:
    released = release_steps(settings)

    @dsl.pipeline(name="redrec-train", display_name="redrec: train")
    def train(
        events: str,
        items: str,
        recipe: str = "",
        live: str = "",
        milvus_uri: str = "",
        releases: str = "",
        deploy: bool = False,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """From an event log and an item table to a release bundle.

        1. identify_inputs says which content the URIs have, so that what is made of the same comes from the cache.
        2. prepare_data checks the tables and fixes the time split.
        3. train_towers trains and exports the towers, or train_by_job on several nodes.
        4. release_steps evaluates the model, builds its bundle, and serves it if `deploy` is true and it passes.

        Args:
            events: Event log: a path or URL, see `redrec.data.sources`.
            items: Item table, likewise.
            recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
            live: Release in service, to compare with: a path or s3://bucket/folder; empty before the first release.
            milvus_uri: Milvus server; empty to search the bundle's embeddings in process.
            releases: Store of all releases, such as s3://bucket/releases, which gets a copy of one that passes the
                quality gate; empty: the release stays in the run's artifact store.
            deploy: Whether to serve the bundle as a KServe InferenceService, if it passes the quality gate.
            namespace: Namespace of the service; empty for the run's own.
            service: Name of the InferenceService.
            deploy_timeout_s: How many seconds the service may take to become ready.
        """
        with end_reported(settings):
            identified = identify_inputs(events=events, items=items, live=live)
            prepared = prepare_data(events=events, items=items, recipe=recipe, identity=identified.outputs["tables"])
            trained = training_step(settings, prepared.outputs["data"], recipe)
            configure(settings, identify_inputs=identified, prepare_data=prepared)
            released(
                data=prepared.outputs["data"],
                model=trained.outputs["model"],
                recipe=recipe,
                live=live,
                live_identity=identified.outputs["live"],
                milvus_uri=milvus_uri,
                releases=releases,
                deploy=deploy,
                namespace=namespace,
                service=service,
                deploy_timeout_s=deploy_timeout_s,
            )

    return train
