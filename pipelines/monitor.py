"""The monitor pipeline: is the newest window like the training window? Where it is not, train again if requested."""

from kfp import dsl

from components.identify_inputs import identify_inputs
from components.prepare_data import prepare_data
from components.report_drift import report_drift
from components.start_training import start_training
from pipelines.release import Pipeline, release_steps
from pipelines.settings import ClusterSettings, configure, end_reported
from pipelines.training import training_step


def monitor_pipeline(settings: ClusterSettings) -> Pipeline:
    released = release_steps(settings, reports_drift=False)

    @dsl.pipeline(name="redrec-monitor", display_name="redrec: monitor drift")
    def monitor(
        events: str,
        items: str,
        recipe: str = "",
        history: str = "",
        webhook: str = "",
        pushgateway: str = "",
        workspace: str = "",
        retrain: bool = False,
        live: str = "",
        milvus_uri: str = "",
        releases: str = "",
        deploy: bool = False,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """Report drift per scenario, keep and send the verdicts, and train on the same data where they demand it.

        It is made to recur, once a window: drift in two of a scenario's three newest windows starts a training, if
        `retrain` is true, and none starts again in the days after it (`redrec.drift.actions`).

        1. identify_inputs says which content the URIs have, so that what is made of the same comes from the cache.
        2. prepare_data checks the tables and fixes the time split.
        3. report_drift compares the newest window with one before the last training, per scenario, and acts.
        4. train_towers and release_steps follow as in the train pipeline, if report_drift says so. With the setting
           `train_run`, start_training starts a run of that pipeline instead, whose name is the reason.

        Args:
            events: Event log: a path or URL, see `redrec.data.sources`.
            items: Item table, likewise.
            recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
            history: File with the verdicts of past windows, which gets each new one: a path that all runs see, or
                s3://bucket/key; empty: each run knows its own window alone.
            webhook: Address that takes alerts as Alertmanager does, such as http://alertmanager:9093/api/v2/alerts;
                empty: none are sent.
            pushgateway: Pushgateway that gets the metrics, such as http://pushgateway:9091; empty: none does.
            workspace: Evidently workspace that gets the reports, such as http://evidently:8000; empty: none does.
            retrain: Whether drift in a scenario starts a training; needs `history`.
            live: Release in service, to compare with: a path or s3://bucket/folder; empty before the first release.
            milvus_uri: Milvus server; empty to search the bundle's embeddings in process.
            releases: Store of all releases, such as s3://bucket/releases, which gets a copy of one that passes the
                quality gate; empty: the release stays in the run's artifact store.
            deploy: Whether to serve the new bundle as a KServe InferenceService, if it passes the quality gate.
            namespace: Namespace of the service; empty for the run's own.
            service: Name of the InferenceService, also in alerts and metrics.
            deploy_timeout_s: How many seconds the service may take to become ready.
        """
        with end_reported(settings):
            identified = identify_inputs(events=events, items=items, live=live)
            prepared = prepare_data(events=events, items=items, recipe=recipe, identity=identified.outputs["tables"])
            drifted = report_drift(
                data=prepared.outputs["data"],
                recipe=recipe,
                history=history,
                webhook=webhook,
                pushgateway=pushgateway,
                workspace=workspace,
                service=service,
                retrain=retrain,
            )
            configure(settings, identify_inputs=identified, prepare_data=prepared, report_drift=drifted)
            drifted.set_caching_options(False)  # the history is outside the run
            with dsl.If(drifted.outputs["Output"] == "train", name="train"):
                parameters = {
                    "recipe": recipe,
                    "live": live,
                    "milvus_uri": milvus_uri,
                    "releases": releases,
                    "deploy": deploy,
                    "namespace": namespace,
                    "service": service,
                    "deploy_timeout_s": deploy_timeout_s,
                }
                if settings.train_run is None:
                    trained = training_step(settings, prepared.outputs["data"], recipe)
                    released(
                        data=prepared.outputs["data"],
                        model=trained.outputs["model"],
                        live_identity=identified.outputs["live"],
                        **parameters,
                    )
                else:
                    started = start_training(
                        drift=drifted.outputs["drift"],
                        target=settings.train_run.model_dump(exclude={"pipeline"}, exclude_none=True),
                        pipeline=settings.train_run.pipeline,
                        events=events,
                        items=items,
                        **parameters,
                    )
                    configure(settings, start_training=started)

    return monitor
