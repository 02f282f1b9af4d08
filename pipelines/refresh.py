"""The refresh pipeline: today's events into the feature store of the live service, without a training.

The store must be the one that the service reads, a Redis (`feature_repo.store`); otherwise the features are a folder of
this run. A bundle keeps the items that it was built with.
"""

from kfp import dsl

from components.identify_inputs import identify_inputs
from components.materialize_features import materialize_features
from components.prepare_data import prepare_data
from pipelines.release import Pipeline
from pipelines.settings import ClusterSettings, configure, end_reported


def refresh_pipeline(settings: ClusterSettings) -> Pipeline:
    @dsl.pipeline(name="redrec-refresh", display_name="redrec: refresh the features")
    def refresh(events: str, items: str, recipe: str = "") -> None:
        """Update users' histories and items' statistics in the online store.

        1. identify_inputs says which content the URIs have, so that what is made of the same comes from the cache.
        2. prepare_data checks the tables.
        3. materialize_features writes what differs to the online store, which goes on serving.

        Args:
            events: Event log: a path or URL, see `redrec.data.sources`.
            items: Item table, likewise.
            recipe: Fields of `redrec.training.recipe.Recipe` as JSON, those of the live model; empty for the defaults.
        """
        with end_reported(settings):
            identified = identify_inputs(events=events, items=items)
            prepared = prepare_data(events=events, items=items, recipe=recipe, identity=identified.outputs["tables"])
            materialized = materialize_features(data=prepared.outputs["data"], recipe=recipe)
            configure(settings, identify_inputs=identified, prepare_data=prepared, materialize_features=materialized)

    return refresh
