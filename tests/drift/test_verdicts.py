"""Verdicts: they are read as they were written."""

from redrec.drift.verdicts import ColumnDrift, Drift, ScenarioDrift

COLUMN = ColumnDrift(test="permutation", p=0.01, p_adjusted=0.03, effect=0.1, floor=0.03, verdict="drift", what="more")


def scenario(reason: str) -> ScenarioDrift:
    users = {"reference": 200, "current": 190}
    return ScenarioDrift(
        verdict="drift", action="watch", reason=reason, users=users, events=users, columns={"x": COLUMN}, interests=None
    )


def test_a_result_is_read_as_it_was_written():
    drift = Drift(windows={"reference": ("a", "b"), "current": ("b", "c")}, scenarios={"ads": scenario("x: more")})
    assert Drift.model_validate_json(drift.model_dump_json()) == drift
    assert drift.verdicts == {"ads": "drift"}
