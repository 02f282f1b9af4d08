"""The experiment pipeline: decide an A/B test, on any day, and serve the release that won.

One service has one release for all scenarios. So the treatment is deployed if every scenario promotes it, the control
if one rolls back, and otherwise the service stays as it is; the decisions are per scenario all the same.
"""

from kfp import dsl

from components.decide_experiment import decide_experiment
from components.deploy_bundle import deploy_bundle
from pipelines.release import Pipeline
from pipelines.settings import ClusterSettings, configure, end_reported


def experiment_pipeline(settings: ClusterSettings) -> Pipeline:
    @dsl.pipeline(name="redrec-experiment", display_name="redrec: decide an experiment")
    def experiment(
        exposures: str,
        outcomes: str,
        plan: str,
        treatment: str,
        control: str,
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """Decide each scenario, and deploy the treatment or the control if that is the decision.

        1. decide_experiment reads what is complete; it may do so every day.
        2. deploy_bundle serves the treatment if all scenarios promote it, the control if one rolls back.

        Args:
            exposures: Exposures, a Parquet file: a path or s3://bucket/key; columns in `redrec.experiments.logs`.
            outcomes: Outcomes, likewise.
            plan: Fields of `redrec.experiments.plan.Plan` as JSON.
            treatment: URI of the release that was tried.
            control: URI of the release that was live before.
            namespace: Namespace of the service; empty for the run's own.
            service: Name of the InferenceService.
            deploy_timeout_s: How many seconds the service may take to become ready.
        """

        def deploy(uri: str) -> None:
            release = dsl.importer(artifact_uri=uri, artifact_class=dsl.Model, reimport=True).output
            deployed = deploy_bundle(
                release=release, uri=uri, namespace=namespace, name=service, timeout_s=deploy_timeout_s
            )
            configure(settings, deploy_bundle=deployed)

        with end_reported(settings):
            decided = decide_experiment(exposures=exposures, outcomes=outcomes, plan=plan)
            configure(settings, decide_experiment=decided)
            with dsl.If(decided.outputs["Output"] == "promote", name="promote"):
                deploy(treatment)
            with dsl.Elif(decided.outputs["Output"] == "rollback", name="rollback"):
                deploy(control)

    return experiment
