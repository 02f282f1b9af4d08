"""`redrec demo`: example tables, their run, a generated experiment, and one text with all results."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.demo_drift import PlantedDrift
from cli.demo_run import CAVEATS, Demo, DemoFolder, plan_of, planted_experiment, write_experiment
from cli.main import main
from cli.run_result import read_run
from redrec.drift.verdicts import Drift
from redrec.experiments.decisions import Decision
from redrec.experiments.gate import decide
from redrec.experiments.simulation import Simulation, simulate
from redrec.folders import RunFolder
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from tests.worlds import TinyRun

NO_DRIFT = PlantedDrift("ads", Drift(windows=None, scenarios={}))


def decisions_of(simulation: Simulation, folder: Path) -> dict[str, Decision]:
    plan, files = plan_of(simulation), DemoFolder(folder)
    write_experiment(simulate(simulation, plan), plan, files)
    return decide(files.exposures, files.outcomes, plan).scenarios


def test_the_gate_finds_what_was_planted(tmp_path: Path):
    simulation = planted_experiment(["feed", "search", "ads"])
    decisions = decisions_of(simulation, tmp_path)
    assert {scenario.name: scenario.click_effect for scenario in simulation.scenarios} == {
        "feed": 0.15,
        "search": 0.0,
        "ads": -0.15,
    }
    assert {name: decision.verdict for name, decision in decisions.items()} == {
        "feed": "promote",
        "search": "hold",
        "ads": "rollback",
    }


def test_the_text_has_figures_users_drift_gate_and_the_caveat(tiny_run: TinyRun, tmp_path: Path):
    run = read_run(tiny_run.folder)
    simulation = planted_experiment(list(run.metrics["scenarios"]))
    demo = Demo("complete-journey", run, simulation, decisions_of(simulation, tmp_path), NO_DRIFT)
    text = demo.text()
    assert CAVEATS["complete-journey"] in text and "education and exploration only" in text
    for section in (
        "popularity",
        "mean_of_last_n",
        "recommended in ads:",
        "Drift",
        "Decisions of a generated experiment",
        " query --user",
    ):
        assert section in text
    assert text.index("What was learned: ") < text.index("rows kept")
    assert text.count("\n  user ") == 3
    assert demo.as_json()["gate"]["decisions"]["homefeed"]["verdict"] == "promote"


def test_the_config_file_sets_the_world_and_the_experiment(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The world is that of `tiny_run`, and its run replaces the training, which takes a minute."""
    recipes = []

    def copied_run(events: Path, items: Path, out: Path, recipe: str, progress: object) -> Path:
        recipes.append(Recipe.model_validate_json(recipe))
        assert pq.read_table(events).equals(pq.read_table(tiny_run.events))
        assert pq.read_table(items).equals(pq.read_table(tiny_run.items))
        return Path(shutil.copytree(tiny_run.folder, out, dirs_exist_ok=True))

    monkeypatch.setattr("pipelines.local.run_training", copied_run)
    scenario = {"name": "ads", "click_effect": 0.3}
    experiment = {"scenarios": [scenario], "num_users": 5000, "impressions_per_day": 3.0, "seed": 3}
    config = {"world": {"num_users": 120, "num_items": 180, "seed": 1}, "experiment": experiment}
    (tmp_path / "demo.json").write_text(json.dumps(config))
    argv = [
        "demo",
        "--data",
        "world",
        "--config",
        tmp_path / "demo.json",
        "--recipe",
        "tiny",
        "--out",
        tmp_path / "out",
    ]
    assert main([*map(str, argv), "--json"]) == 0

    shown, files = json.loads(capsys.readouterr().out), DemoFolder(tmp_path / "out")
    assert recipes == [tiny()]
    assert shown["run"] == str(files.run)
    assert "oracle" in json.loads(RunFolder(files.run).metrics.read_text())["scenarios"]["ads"]
    assert shown["gate"]["planted_effects"] == {"ads": 0.3}
    assert shown["gate"]["decisions"]["ads"]["verdict"] == "promote"

    tables = ["--exposures", str(files.exposures), "--outcomes", str(files.outcomes)]
    assert main(["gate", *tables, "--plan", str(files.plan), "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert decided["experiment"] == "demo"
    assert decided["scenarios"]["ads"]["reason"] == shown["gate"]["decisions"]["ads"]["reason"]  # with rounded figures
