"""The release pipeline: a data folder and a model that was trained on it in, a verified release bundle out.

`release_steps` are the steps after training. The train pipeline runs them as one nested pipeline, and
`release_pipeline` starts from existing folders.
"""

from collections.abc import Callable

from kfp import dsl

from components.build_bundle import build_bundle
from components.check_quality import check_quality
from components.deploy_bundle import deploy_bundle
from components.evaluate_model import evaluate_model
from components.materialize_features import materialize_features
from components.publish_bundle import publish_bundle
from components.report_drift import report_drift
from pipelines.settings import ClusterSettings, configure, end_reported

Pipeline = Callable[..., dsl.PipelineTask]  # as `dsl.pipeline` returns it


def release_steps(settings: ClusterSettings, reports_drift: bool = True) -> Pipeline:
    """Return the steps from a trained model to its release, for other pipelines; one may have reported drift itself."""

    @dsl.pipeline(name="redrec-release-steps", display_name="Evaluate and release")
    def steps(
        data: dsl.Input[dsl.Dataset],
        model: dsl.Input[dsl.Model],
        recipe: str = "",
        live: str = "",
        live_identity: str = "",
        milvus_uri: str = "",
        releases: str = "",
        deploy: bool = False,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """From a data folder and a trained model to a release bundle.

        1. evaluate_model ranks the full catalogue with the model, the live model and the baselines.
        2. check_quality refuses a model that is clearly behind one of them in a scenario.
        3. materialize_features writes users' histories to the feature store.
        4. build_bundle builds the item index and writes the bundle.
        5. report_drift compares the newest window with one before it, per scenario.
        6. publish_bundle copies the release to `releases`, if that is given and the model passed.
        7. deploy_bundle serves the bundle, if `deploy` is true and the model passed.

        Args:
            data: Folder written by prepare_data.
            model: Folder written by train_towers.
            recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
            live: Release in service, to compare with: a path or s3://bucket/folder; empty before the first release.
            live_identity: What identify_inputs says of it; empty where each run imports data and model.
            milvus_uri: Milvus server; empty to search the bundle's embeddings in process.
            releases: Store of all releases, such as s3://bucket/releases, which gets a copy of one that passes the
                quality gate; empty: the release stays in the run's artifact store.
            deploy: Whether to serve the bundle as a KServe InferenceService.
            namespace: Namespace of the service; empty for the run's own.
            service: Name of the InferenceService.
            deploy_timeout_s: How many seconds the service may take to become ready.
        """
        evaluated = evaluate_model(data=data, model=model, live=live, live_identity=live_identity)
        checked = check_quality(evaluation=evaluated.outputs["evaluation"], recipe=recipe, deploy=deploy)
        materialized = materialize_features(data=data, recipe=recipe)
        built = build_bundle(
            data=data,
            model=model,
            evaluation=evaluated.outputs["evaluation"],
            features=materialized.outputs["features"],
            feature_hash=materialized.outputs["Output"],
            recipe=recipe,
            milvus_uri=milvus_uri,
        )
        if reports_drift:
            configure(settings, report_drift=report_drift(data=data, recipe=recipe, service=service))
        with dsl.If(checked.outputs["Output"] != "refuse", name="publish"):
            published = publish_bundle(release=built.outputs["release"], releases=releases)
            with dsl.If(checked.outputs["Output"] == "deploy", name="deploy"):
                deployed = deploy_bundle(
                    release=built.outputs["release"],
                    uri=published.output,
                    namespace=namespace,
                    name=service,
                    timeout_s=deploy_timeout_s,
                )
        configure(settings, evaluate_model=evaluated, check_quality=checked, materialize_features=materialized)
        configure(settings, build_bundle=built)
        configure(settings, publish_bundle=published, deploy_bundle=deployed)

    return steps


def release_pipeline(settings: ClusterSettings) -> Pipeline:
    """Return the pipeline for a model that was trained elsewhere."""
    released = release_steps(settings)

    @dsl.pipeline(name="redrec-release", display_name="redrec: release a trained model")
    def release(
        data: str,
        model: str,
        recipe: str = "",
        live: str = "",
        milvus_uri: str = "",
        releases: str = "",
        deploy: bool = False,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """From a data folder and a model that was trained elsewhere to a release bundle; see `release_steps`.

        Args:
            data: URI of the data folder.
            model: URI of the model folder, trained on that data.
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
            released(
                data=dsl.importer(artifact_uri=data, artifact_class=dsl.Dataset, reimport=True).output,
                model=dsl.importer(artifact_uri=model, artifact_class=dsl.Model, reimport=True).output,
                recipe=recipe,
                live=live,
                milvus_uri=milvus_uri,
                releases=releases,
                deploy=deploy,
                namespace=namespace,
                service=service,
                deploy_timeout_s=deploy_timeout_s,
            )

    return release
