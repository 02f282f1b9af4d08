"""`redrec gate simulate`: a planted effect is promoted in its scenario, and nothing elsewhere."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.folders import write_json
from tests.cli.conftest import status_and_error
from tests.experiments.logs import planned, simulated, written


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("history")
    _, outcomes = written(simulated(5, num_users=2_000), folder)
    write_json(folder / "plan.json", planned().model_dump(mode="json"))
    return ["gate", "simulate", "--outcomes", str(outcomes), "--plan", str(folder / "plan.json")]


def test_a_planted_effect_is_promoted_in_its_scenario(history: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*history, "--runs", "3", "--effect", "ads=0.5", "--json"]) == 0
    shares = json.loads(capsys.readouterr().out)
    assert shares["ads"]["promote"] == 1
    assert shares["search"]["promote"] < 1
    assert sum(shares["homefeed"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--effect", "ads"], "--effect ads is no change of a scenario"),
        (["--effect", "shop=0.1"], "--effect shop: the plan has homefeed, search, ads"),
        (["--runs", "0"], "--runs 0 is not allowed"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    history: list[str], capsys: pytest.CaptureFixture[str], options: list[str], words: str
):
    status, error = status_and_error(capsys, *history, *options)
    assert (status, words in error) == (2, True)
