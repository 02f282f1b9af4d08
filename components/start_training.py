"""After drift: a run of the listed pipeline `train`, whose name says why it was started."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def start_training(
    drift: dsl.Input[dsl.Artifact],
    target: dict,
    pipeline: str,
    events: str,
    items: str,
    recipe: str,
    live: str,
    milvus_uri: str,
    releases: str,
    deploy: bool,
    namespace: str,
    service: str,
    deploy_timeout_s: int,
) -> str:
    """Start a run through the API of Kubeflow Pipelines, and return its address; a second time it is the same run.

    Args:
        drift: Folder written by report_drift, by which the run is named.
        target: Fields of `jobs.pipelines_api.Target`.
        pipeline: Name of the listed pipeline.
        events: As the pipeline describes it, like all the others.
        items: See `events`.
        recipe: See `events`.
        live: See `events`.
        milvus_uri: See `events`.
        releases: See `events`.
        deploy: See `events`.
        namespace: See `events`.
        service: See `events`.
        deploy_timeout_s: See `events`.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from jobs.pipelines_api import Target, connect, pod_token, start_listed
    from redrec.config import load_config
    from redrec.drift.actions import run_name
    from redrec.drift.verdicts import Drift
    from redrec.folders import DriftFolder

    parameters = {
        "events": events,
        "items": items,
        "recipe": recipe,
        "live": live,
        "milvus_uri": milvus_uri,
        "releases": releases,
        "deploy": deploy,
        "namespace": namespace,
        "service": service,
        "deploy_timeout_s": deploy_timeout_s,
    }
    there = Target(**target, token=pod_token())
    name = run_name(load_config(Drift, DriftFolder(Path(drift.path)).verdicts))
    return start_listed(connect(there), there, pipeline, parameters, name).url
