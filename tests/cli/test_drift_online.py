"""`redrec drift online`: figures of a run folder beside the logs of its service."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.folders import RunFolder, write_json
from tests.cli.conftest import status_and_error
from tests.drift.test_online import figures, many, write


def test_each_scenario_has_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    exposures, outcomes = write(tmp_path, *many(0.15))
    write_json(RunFolder(tmp_path).metrics, figures(0.28, 0.25, 0.31))
    command = ["drift", "online", "--exposures", str(exposures), "--outcomes", str(outcomes), "--run", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    ads = json.loads(capsys.readouterr().out)["scenarios"]["ads"]
    assert (ads["verdict"], ads["exposures"], ads["online"]["users"]) == ("worse", 800, 400)
    assert main([*command, "--event", "hide"]) == 0
    assert "0.000 [0.000, 0.000] online is below 0.280" in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    exposures, outcomes = write(tmp_path, *many(0.15))
    command = ["drift", "online", "--exposures", exposures, "--outcomes", outcomes, "--run", tmp_path]
    status, error = status_and_error(capsys, *command)
    assert (status, "has no metrics.json. Give a run folder" in error) == (2, True)
