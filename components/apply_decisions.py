"""An experiment's decisions in, the allocation that its server follows changed."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def apply_decisions(decisions: dsl.Input[dsl.Artifact], allocation: str, namespace: str = "") -> str:
    """Change the allocation scenario by scenario, and return what has changed; a second time nothing does.

    Args:
        decisions: Verdict, reason and numbers of each scenario, as decide_experiment writes them.
        allocation: Name of the ConfigMap that the server follows.
        namespace: Its namespace; empty for the run's own.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.experiments.decisions import Result
    from serving.config_map import MapName
    from serving.mapped_allocation import act_on_map

    result = Result.model_validate_json(Path(decisions.path).read_bytes())
    changes = act_on_map(MapName(allocation, namespace or None), result, is_applied=True)
    return "; ".join(changes) or "nothing"
