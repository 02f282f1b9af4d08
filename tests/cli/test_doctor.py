"""`redrec doctor`: a table with remedies, or JSON."""

import json

import pytest

from cli.doctor_checks import Check
from cli.main import main

CHECKS = [Check("Kubernetes", "ok", "v1.36.2"), Check("S3", "missing", "no answer", "correct AWS_ENDPOINT_URL")]


def test_what_is_missing_comes_with_its_remedy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("cli.doctor_checks.checked", lambda namespace, claim: CHECKS)
    assert main(["doctor", "--namespace", "team-a", "--claim", "bundles"]) == 0
    text = capsys.readouterr().out
    assert "S3          missing  no answer" in text
    assert text.endswith("To mend it:\n  S3: correct AWS_ENDPOINT_URL\n")
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"][1]["remedy"] == "correct AWS_ENDPOINT_URL"
