"""The training pipeline: raw tables in, a verified release bundle out, served if asked."""

from kfp import dsl, kubernetes

from components.build_bundle import build_bundle
from components.deploy_bundle import deploy_bundle
from components.evaluate_model import evaluate_model
from components.images import TELEMETRY_OFF
from components.materialize_features import materialize_features
from components.prepare_data import prepare_data
from components.report_drift import report_drift
from components.train_towers import train_towers
from feature_repo.store import SECRET, VARIABLES


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
    3. evaluate_model ranks the full catalogue beside the baselines.
    4. materialize_features loads users' histories into the feature store.
    5. build_bundle indexes the items and writes the bundle.
    6. report_drift compares the training window with the newest one.
    7. deploy_bundle serves the bundle, if `deploy`.

    Args:
        events: Event log, a Parquet or CSV file.
        items: Item table, a Parquet or CSV file.
        recipe: Fields of `redrec.recipe.Recipe` as JSON; empty for the defaults.
        milvus_uri: Milvus server; empty for the embedded index inside the bundle.
        deploy: Whether to serve the bundle as a KServe InferenceService.
        namespace: Where the service runs.
    """
    prepared = prepare_data(events=events, items=items, recipe=recipe)
    data = prepared.outputs["data"]
    trained = train_towers(data=data, recipe=recipe)
    model = trained.outputs["model"]
    evaluated = evaluate_model(data=data, model=model)
    materialized = materialize_features(data=data, recipe=recipe)
    built = build_bundle(
        data=data,
        model=model,
        evaluation=evaluated.outputs["evaluation"],
        features=materialized.outputs["features"],
        feature_hash=materialized.outputs["Output"],
        milvus_uri=milvus_uri,
    )
    drifted = report_drift(data=data)
    with dsl.If(deploy == True, name="deploy"):  # noqa: E712 - a placeholder, compared when the pipeline runs
        deployed = deploy_bundle(release=built.outputs["release"], namespace=namespace)

    for task in (prepared, trained, evaluated, materialized, built, drifted, deployed):
        for name, value in TELEMETRY_OFF.items():
            task.set_env_variable(name, value)
    kubernetes.use_secret_as_env(materialized, SECRET, {name: name for name in VARIABLES}, optional=True)
    materialized.set_caching_options(False)  # a shared online store may have been emptied meanwhile
    prepared.set_caching_options(False)  # the key is the path of the tables, not what they hold today
    deployed.set_caching_options(False)  # it acts on the cluster
