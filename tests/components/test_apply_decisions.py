"""Decisions change the allocation's ConfigMap, once."""

from pathlib import Path

import pytest
from kfp import dsl

from components.apply_decisions import apply_decisions
from tests.serving.config_map_api import NAME, config_map_api
from tests.serving.test_mapped_allocation import RESULT, START


def test_decisions_change_the_allocation_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decisions = dsl.Artifact(uri=str(tmp_path / "decisions"))
    Path(decisions.path).write_text(RESULT.model_dump_json(by_alias=True))
    with config_map_api(START, tmp_path, monkeypatch) as api:
        said = [apply_decisions.python_func(decisions, NAME.name, NAME.namespace) for _ in range(2)]
    assert "ads: users are split, now all users get treatment" in said[0]
    assert (said[1], api.version, api.allocation.serves) == ("nothing", 2, {"ads": "treatment"})
