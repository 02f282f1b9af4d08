"""Step 4: the evaluation in, a verdict per scenario and the decision on the deployment out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def check_quality(
    evaluation: dsl.Input[dsl.Artifact],
    gate: dsl.Output[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
    recipe: str = "",
    deploy: bool = False,
) -> str:
    """Compare the model with the live one and the best baseline, per scenario; return deploy, refuse or pass.

    `refuse` is a model that is clearly behind in a scenario. `pass` is one that is not, if no deployment was requested.

    Args:
        evaluation: Folder written by evaluate_model.
        gate: The verdict and the reason of each scenario, as JSON.
        summary: The same as a Markdown table.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; only its section quality_gate is used.
        deploy: Whether to deploy a model that passes.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.config import section
    from redrec.evaluation.quality_gate import QualityGateConfig, quality_gate
    from redrec.folders import write_json

    decided = quality_gate(Path(evaluation.path), section(recipe, "quality_gate", QualityGateConfig))
    write_json(Path(gate.path), decided.model_dump(mode="json"))
    Path(summary.path).write_text(decided.markdown, encoding="utf-8")
    return decided.decision(deploy)
