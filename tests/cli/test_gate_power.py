"""`redrec gate power`: joint power from a log, and a warning where it is low."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.folders import write_json
from tests.cli.conftest import status_and_error
from tests.experiments.logs import planned, simulated, written


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("history")
    _, outcomes = written(simulated(5, num_users=2_000), folder)
    write_json(folder / "plan.json", planned().model_dump(mode="json"))
    return ["--outcomes", str(outcomes), "--plan", str(folder / "plan.json")]


def test_power_grows_with_the_users_and_low_power_is_warned_of(history: list[str], capsys: pytest.CaptureFixture[str]):
    powers = []
    for users in ("1000", "50000"):
        assert main(["gate", "power", *history, "--effect", "0.1", "--users", users, "--json"]) == 0
        printed = capsys.readouterr()
        powers.append(json.loads(printed.out)["ads"]["power"])
        assert ("warning: ads has power" in printed.err) == (users == "1000")
    assert powers[0] < 0.5 < 0.8 < powers[1]


def test_the_text_says_the_smallest_effect(history: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["gate", "power", *history, "--effect", "0.1"]) == 0
    assert "effect with power 0.8" in capsys.readouterr().out


def test_what_has_no_power_is_refused(history: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_json(tmp_path / "plan.json", planned(applies="shared").model_dump(mode="json"))
    shared = [*history[:2], "--plan", str(tmp_path / "plan.json")]
    for options, words in (
        ([*shared, "--effect", "0.1"], "redrec gate simulate"),
        ([*history, "--effect", "2"], "--effect 2.0 is not allowed"),
        ([*history, "--effect", "0.1", "--users", "0"], "--users 0 is not allowed"),
    ):
        status, error = status_and_error(capsys, "gate", "power", *options)
        assert (status, words in error) == (2, True)
