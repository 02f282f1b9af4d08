"""`redrec gate interleave`: its text and its JSON, from tables as a server and a site write them."""

import json
from pathlib import Path

import pytest

from cli.main import main
from serving.exposures import ExposureFiles, ExposureLog, InterleavedItem


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """150 users see an item of either team in ads and click the treatment's."""
    shown, clicks = ExposureLog(ExposureFiles(tmp_path / "shown")), ["request_id,item_id"]
    for number in range(150):
        own = f"r{number}", "towers-2", f"u{number}", "ads"
        for position, team in enumerate(("", "control", "treatment"), start=1):
            shown.add(InterleavedItem(*own, f"i{position}", team, str(position), "2026-11-02T00:00:00.000+00:00", "p1"))
        clicks.append(f"r{number},i3")
    shown.close()
    (tmp_path / "clicks").mkdir()
    (tmp_path / "clicks" / "clicks.csv").write_text("\n".join(clicks) + "\n")
    return ["--shown", str(tmp_path / "shown"), "--clicks", str(tmp_path / "clicks")]


def test_the_verdict_is_a_preference_and_no_decision(tables: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["gate", "interleave", *tables, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["schema"], result["experiment"]) == ("redrec/interleaving/1", "towers-2")
    ads = result["scenarios"]["ads"]
    assert (ads["verdict"], ads["users"], ads["preference"]) == ("treatment preferred", 150, 1.0)
    assert main(["gate", "interleave", *tables]) == 0
    text = capsys.readouterr().out
    assert "treatment preferred" in text and "only an experiment promotes" in text


def test_another_experiment_is_refused(tables: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["gate", "interleave", *tables, "--experiment", "towers-3"]) == 2
    assert "are of towers-2; towers-3 is named" in capsys.readouterr().err
