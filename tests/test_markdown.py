"""Markdown: what a page of verdicts makes of names that people give."""

from redrec.evaluation.quality_gate import QualityGate, ScenarioGate
from redrec.experiments.decisions import Decision, decisions_markdown

HOSTILE = "<img src=x>|ads"
ESCAPED = "| &lt;img src=x&gt;&#124;ads | "


def test_a_scenarios_name_is_text_on_every_page_of_verdicts():
    gate = ScenarioGate(verdict="unmeasured", reason="no test users", rivals=())
    decision = Decision(verdict="hold", rule="not_ended", reason="early", look=1, users={})
    pages = [
        QualityGate(verdict="refuse", metric="ndcg@10", scenarios={HOSTILE: gate}).markdown,
        decisions_markdown({HOSTILE: decision}),
    ]
    for page in pages:
        assert ESCAPED in page and "<img" not in page
