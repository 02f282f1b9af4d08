"""The experiment pipeline: decide an A/B test, on any day, and act on it.

A service that holds both bundles follows an allocation, which is changed scenario by scenario. One without has one
release for all scenarios: the treatment is deployed if every scenario promotes it, the control if one rolls back, and
otherwise the service stays as it is; the decisions are per scenario all the same.
"""

from kfp import dsl

from components.apply_decisions import apply_decisions
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
        treatment: str = "",
        control: str = "",
        allocation: str = "",
        namespace: str = "",
        service: str = "redrec",
        deploy_timeout_s: int = 600,
    ) -> None:
        """Decide each scenario, and change the allocation, or deploy the treatment or the control.

        1. decide_experiment reads what is complete; it may do so every day.
        2. apply_decisions changes the allocation, if one is given.
        3. deploy_bundle, otherwise, serves the treatment if all scenarios promote it, the control if one rolls back.

        Args:
            exposures: Exposures, a Parquet file: a path or s3://bucket/key; columns in `redrec.experiments.logs`.
            outcomes: Outcomes, likewise.
            plan: Fields of `redrec.experiments.plan.Plan` as JSON.
            treatment: URI of the release that was tried; needed without an allocation.
            control: URI of the release that was live before; needed without an allocation.
            allocation: ConfigMap that a service with both bundles follows; empty for a service with one release.
            namespace: Namespace of service and allocation; empty for the run's own.
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
            with dsl.If(allocation != "", name="allocation"):
                applied = apply_decisions(
                    decisions=decided.outputs["decisions"], allocation=allocation, namespace=namespace
                )
                configure(settings, apply_decisions=applied)
            with dsl.Else(name="release"):
                with dsl.If(decided.outputs["Output"] == "promote", name="promote"):
                    deploy(treatment)
                with dsl.Elif(decided.outputs["Output"] == "rollback", name="rollback"):
                    deploy(control)

    return experiment
