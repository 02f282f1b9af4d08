"""An experiment's decisions as JSON and as a page, and the one of the service."""

import json
from pathlib import Path

from kfp import dsl

from cli.demo_run import DemoFolder, plan_of, planted_experiment, write_experiment
from components.decide_experiment import decide_experiment
from redrec.experiments.simulation import simulate
from redrec.folders import read_json


def test_a_scenario_that_is_worse_rolls_the_service_back(tmp_path: Path):
    """Planted: feed is better, search the same, ads worse."""
    simulation, files = planted_experiment(["feed", "search", "ads"]), DemoFolder(tmp_path)
    write_experiment(simulate(simulation, plan_of(simulation)), plan_of(simulation), files)
    decisions, summary = dsl.Artifact(uri=str(tmp_path / "decisions")), dsl.Markdown(uri=str(tmp_path / "summary.md"))
    pictures = dsl.HTML(uri=str(tmp_path / "pictures.html"))
    plan = json.dumps(read_json(files.plan))
    tables = str(files.exposures), str(files.outcomes)
    assert decide_experiment.python_func(*tables, plan, decisions, summary, pictures) == "rollback"
    result = read_json(Path(decisions.path))
    verdicts = {name: decision["verdict"] for name, decision in result["scenarios"].items()}
    assert verdicts == {"feed": "promote", "search": "hold", "ads": "rollback"}
    assert result["schema"] == "redrec/decisions/1"
    assert Path(pictures.path).read_text().count("<svg") == 9
    assert "| ads | rollback | " in Path(summary.path).read_text()
