"""Step 4: the verdict as JSON and as a page, and the value that the pipeline's condition reads."""

from pathlib import Path

import pytest
from kfp import dsl

from components.check_quality import check_quality
from redrec.folders import read_json
from tests.components.conftest import Steps
from tests.evaluation.test_quality_gate import BASELINES, planted


def test_the_gate_of_a_run_names_every_scenario(steps: Steps):
    content = read_json(Path(steps.gate.path))
    assert set(content["scenarios"]) == {"homefeed", "search", "ads"}
    assert steps.decision in ("pass", "refuse")
    assert all(f"| {scenario} |" in Path(steps.gate_summary.path).read_text() for scenario in content["scenarios"])


@pytest.mark.parametrize(
    ("max_rank", "deploy", "recipe", "expected"),
    [
        (15, True, "", "deploy"),
        (15, False, "", "pass"),
        (60, True, "", "refuse"),  # the live model's targets are at ranks up to 20
        (60, True, '{"quality_gate": {"live_margin": 0.9, "baseline_margin": 0.9}}', "deploy"),
    ],
)
def test_only_a_good_model_whose_deployment_is_requested_is_deployed(
    max_rank: int, deploy: bool, recipe: str, expected: str, tmp_path: Path
):
    planted(tmp_path, {"ads": {"redrec": max_rank, "live": 20, **BASELINES}})
    gate, summary = dsl.Artifact(uri=str(tmp_path / "gate")), dsl.Markdown(uri=str(tmp_path / "summary.md"))
    evaluation = dsl.Artifact(uri=str(tmp_path))
    assert check_quality.python_func(evaluation, gate, summary, recipe, deploy) == expected
