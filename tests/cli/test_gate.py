"""`redrec gate`: an experiment is decided from its log and the fields of its plan."""

import json
from pathlib import Path

import pytest

from cli.demo_run import DemoFolder, plan_of, planted_experiment, write_experiment
from cli.main import main
from redrec.experiments.simulation import simulate
from tests.cli.conftest import status_and_error


@pytest.fixture
def experiment(tmp_path: Path) -> DemoFolder:
    simulation, files = planted_experiment(["feed", "search", "ads"]), DemoFolder(tmp_path)
    write_experiment(simulate(simulation), plan_of(simulation), files)
    return files


def test_the_planted_effects_decide(experiment: DemoFolder, capsys: pytest.CaptureFixture[str]):
    assert main(["gate", "--log", str(experiment.log), "--plan", str(experiment.plan), "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert decided["experiment"] == "demo"
    verdicts = {scenario: decision["verdict"] for scenario, decision in decided["decisions"].items()}
    assert verdicts == {"feed": "promote", "search": "hold", "ads": "rollback"}


def test_a_longer_plan_is_not_decided_yet(experiment: DemoFolder, capsys: pytest.CaptureFixture[str]):
    experiment.plan.write_text("experiment: demo\nscenarios: [feed, search, ads]\nnum_days: 14\n")
    assert main(["gate", "--log", str(experiment.log), "--plan", str(experiment.plan)]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["feed", "hold"], ["search", "hold"], ["ads", "hold"]]


def test_what_is_no_log_and_no_plan_is_refused(experiment: DemoFolder, capsys: pytest.CaptureFixture[str]):
    status, error = status_and_error(capsys, "gate", "--log", experiment.plan, "--plan", experiment.plan)
    assert (status, "Give an experiment log" in error) == (2, True)
    experiment.plan.write_text("experiment: demo\nscenarios: [feed]\nnum_dayz: 7\n")
    status, error = status_and_error(capsys, "gate", "--log", experiment.log, "--plan", experiment.plan)
    assert (status, "num_dayz" in error) == (2, True)
