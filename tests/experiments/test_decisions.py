"""Decisions: one verdict of a service with one release, and the page of a run."""

import pytest

from redrec.experiments.decisions import Decision, decisions_markdown, joint_verdict


def decision(verdict: str) -> Decision:
    return Decision(verdict=verdict, rule="any", reason="as planted", look=7, users={"control": 1, "treatment": 1})


@pytest.mark.parametrize(
    ("verdicts", "joint"),
    [
        (["promote", "promote"], "promote"),
        (["promote", "hold"], "hold"),
        (["promote", "rollback"], "rollback"),
        (["invalid", "rollback"], "rollback"),
        (["promote", "invalid"], "invalid"),
        (["promote", "insufficient"], "insufficient"),
    ],
)
def test_a_service_with_one_release_has_one_verdict(verdicts, joint):
    assert joint_verdict({str(number): decision(verdict) for number, verdict in enumerate(verdicts)}) == joint


def test_the_page_has_a_row_per_scenario():
    assert "| ads | rollback | as planted |" in decisions_markdown({"ads": decision("rollback")})
