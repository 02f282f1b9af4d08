"""The release pipeline: a data folder and a model that was trained on it in, a verified release bundle out.

`release_steps` are the steps after training. The training pipeline runs them as one nested pipeline, and
`release_pipeline` starts from existing folders.
"""

from kfp import dsl, kubernetes

from components.build_bundle import build_bundle
from components.deploy_bundle import deploy_bundle
from components.evaluate_model import evaluate_model
from components.images import TELEMETRY_OFF
from components.materialize_features import materialize_features
from components.report_drift import report_drift
from feature_repo.store import SECRET, VARIABLES


def without_telemetry(*tasks: dsl.PipelineTask) -> None:
    for task in tasks:
        for name, value in TELEMETRY_OFF.items():
            task.set_env_variable(name, value)


@dsl.pipeline(name="redrec-release-steps")
def release_steps(
    data: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    recipe: str = "",
    milvus_uri: str = "",
    deploy: bool = False,
    namespace: str = "default",
) -> None:
    """From a data folder and a trained model to a release bundle.

    1. evaluate_model ranks the full catalogue with the model and the baselines.
    2. materialize_features writes users' histories to the feature store.
    3. build_bundle builds the item index and writes the bundle.
    4. report_drift compares the training window with the newest one.
    5. deploy_bundle serves the bundle, if `deploy` is true.

    Args:
        data: Folder written by prepare_data.
        model: Folder written by train_towers.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
        milvus_uri: Milvus server; empty for the embedded index inside the bundle.
        deploy: Whether to serve the bundle as a KServe InferenceService.
        namespace: Namespace of the service.
    """
    evaluated = evaluate_model(data=data, model=model)
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
    drifted = report_drift(data=data, recipe=recipe)
    with dsl.If(deploy == True, name="deploy"):  # noqa: E712 - a placeholder, compared when the pipeline runs
        deployed = deploy_bundle(release=built.outputs["release"], namespace=namespace)

    without_telemetry(evaluated, materialized, built, drifted, deployed)
    kubernetes.use_secret_as_env(materialized, SECRET, {name: name for name in VARIABLES}, optional=True)
    materialized.set_caching_options(False)  # a shared online store may be empty by now
    deployed.set_caching_options(False)  # it acts on the cluster


@dsl.pipeline(name="redrec-release")
def release_pipeline(
    data: str,
    model: str,
    recipe: str = "",
    milvus_uri: str = "",
    deploy: bool = False,
    namespace: str = "default",
) -> None:
    """From a data folder and a model that was trained elsewhere to a release bundle; see `release_steps`.

    Args:
        data: URI of the data folder.
        model: URI of the model folder, trained on that data.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
        milvus_uri: Milvus server; empty for the embedded index inside the bundle.
        deploy: Whether to serve the bundle as a KServe InferenceService.
        namespace: Namespace of the service.
    """
    release_steps(
        data=dsl.importer(artifact_uri=data, artifact_class=dsl.Dataset, reimport=True).output,
        model=dsl.importer(artifact_uri=model, artifact_class=dsl.Model, reimport=True).output,
        recipe=recipe,
        milvus_uri=milvus_uri,
        deploy=deploy,
        namespace=namespace,
    )
