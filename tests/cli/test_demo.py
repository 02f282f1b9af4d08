"""The demo's last part: a generated experiment decided by the gate, and all of it told in one text."""

from cli.demo import CAVEATS, Demo, decide, planted_experiment
from cli.run_result import read_run
from tests.worlds import TinyRun


def test_the_gate_finds_what_was_planted():
    simulation = planted_experiment(["feed", "search", "ads"])
    decisions = decide(simulation)
    assert {scenario.name: scenario.click_effect for scenario in simulation.scenarios} == {
        "feed": 0.15,
        "search": 0.0,
        "ads": -0.15,
    }
    assert {name: decision.verdict for name, decision in decisions.items()} == {
        "feed": "promote",
        "search": "hold",
        "ads": "rollback",
    }


def test_the_demo_tells_figures_users_drift_gate_and_the_caveat(tiny_run: TinyRun):
    run = read_run(tiny_run.folder)
    simulation = planted_experiment(list(run.metrics["scenarios"]))
    demo = Demo("complete-journey", run, simulation, decide(simulation))
    text = demo.text()
    assert CAVEATS["complete-journey"] in text and "education and exploration only" in text
    for part in ("popularity", "mean_of_last_n", "recommended in ads:", "Drift", "Fixed-horizon gate", " query --user"):
        assert part in text
    assert text.count("\n  user ") == 3
    assert demo.as_json()["gate"]["decisions"]["homefeed"]["verdict"] == "promote"
