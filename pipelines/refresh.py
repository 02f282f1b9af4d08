"""The refresh pipeline: today's events and items into the live service, without a training.

Without a model, the features alone are updated: those of the store that the service reads, a Redis
(`feature_repo.store`); otherwise they are a folder of this run. A bundle keeps the items that it was built with, so new
items need the model of the last training and a new release.
"""

from kfp import dsl

from components.embed_items import embed_items
from components.embed_shard import embed_shard
from components.identify_inputs import identify_inputs
from components.materialize_features import materialize_features
from components.prepare_data import prepare_data
from pipelines.release import Pipeline, release_steps
from pipelines.settings import ClusterSettings, configure, end_reported


def refresh_pipeline(settings: ClusterSettings) -> Pipeline:
    released, num_shards = release_steps(settings), settings.num_embedding_shards

    @dsl.pipeline(name="redrec-refresh", display_name="redrec: refresh features and items")
    def refresh(
        events: str,
        items: str,
        recipe: str = "",
        model: str = "",
        live: str = "",
        milvus_uri: str = "",
        releases: str = "",
        deploy: bool = False,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """Update users' histories and items' statistics in the online store and, given a model, release new items.

        1. identify_inputs says which content the URIs have, so that what is made of the same comes from the cache.
        2. prepare_data checks the tables.
        3. Without a model, materialize_features writes what differs to the online store, which goes on serving.
        4. With one, embed_shard embeds the items that are new or have changed, each shard in a pod of its own.
        5. embed_items adds the vectors that all others keep, and release_steps follow as after a training.

        Args:
            events: Event log: a path or URL, see `redrec.data.sources`.
            items: Item table, likewise.
            recipe: Fields of `redrec.training.recipe.Recipe` as JSON, those of the live model; empty for the defaults.
                With a model, its data.scenarios must name the scenarios of the training in their order.
            model: URI of the model folder of the last training; empty to update the features alone.
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
            configure(settings, identify_inputs=identified, prepare_data=prepared)
            with dsl.If(model == "", name="features"):
                materialized = materialize_features(data=prepared.outputs["data"], recipe=recipe)
                configure(settings, materialize_features=materialized)
            with dsl.Else(name="items"):
                trained = dsl.importer(artifact_uri=model, artifact_class=dsl.Model, reimport=True).output
                with dsl.ParallelFor(list(range(num_shards)), name="shards") as index:
                    shard = embed_shard(data=prepared.outputs["data"], trained=trained, index=index, count=num_shards)
                    configure(settings, embed_shard=shard)
                embedded = embed_items(
                    data=prepared.outputs["data"], trained=trained, shards=dsl.Collected(shard.outputs["shard"])
                )
                configure(settings, embed_items=embedded)
                released(
                    data=prepared.outputs["data"],
                    model=embedded.outputs["model"],
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

    return refresh
