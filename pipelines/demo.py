"""The demo: example data, one run, and what came out of it, told as it is.

Two data sets. `complete-journey` is simulated by its publisher on real shopping patterns; `world` is generated
here, so its truth is known and an oracle stands beside the model.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines import report
from pipelines.local import run_training
from redrec.config import InputError
from redrec.data.complete_journey import CAVEAT
from redrec.experiments.gate import Decision, Plan, fixed_horizon_gate
from redrec.experiments.simulation import SimulatedScenario, Simulation, simulate

if TYPE_CHECKING:
    from redrec.recipe import Recipe

CAVEATS = {
    "complete-journey": CAVEAT,
    "world": "The world is generated: what a model should find is planted, and the oracle knows it.",
}
PLANTED_EFFECTS = (0.15, 0.0, -0.15)  # relative change of the click rate, one scenario after the other
EXPERIMENT = "demo"
NUM_USERS, NUM_DAYS = 20_000, 7
SEED = 1  # as 11 of the first 12 seeds decide; seed 0 has a false alarm of the guardrail, due in 2.5 % of tests


class Demo(NamedTuple):
    data: str
    run: report.Run
    planted: dict[str, float]
    decisions: dict[str, Decision]

    def as_json(self) -> dict[str, Any]:
        gate = {scenario: decision.model_dump() for scenario, decision in self.decisions.items()}
        return {
            **self.run.as_json(),
            "caveat": CAVEATS[self.data],
            "examples": self.run.examples,
            "gate": {"kind": "fixed horizon", "planted_effects": self.planted, "decisions": gate},
        }

    def text(self) -> str:
        run = self.run
        return "\n\n".join(
            [
                CAVEATS[self.data],
                report.quality_text(run.data_quality),
                report.metrics_text(run.metrics),
                report.value_text(run.metrics),
                report.examples_text(run.examples),
                report.drift_text(run.drift),
                self.gate_text(),
                report.files_text(run),
                report.next_text(run, run.examples[0]["user_id"], next(iter(run.metrics["scenarios"]))),
            ]
        )

    def gate_text(self) -> str:
        rows = [["scenario", "planted", "verdict", "reason"]]
        for scenario, decision in self.decisions.items():
            rows.append([scenario, f"{self.planted[scenario]:+.0%}", decision.verdict, decision.reason])
        head = (
            f"Fixed-horizon gate over a generated experiment log ({NUM_USERS:,} users, {NUM_DAYS} days, seed {SEED}):"
        )
        return f"{head}\n{report.indented(report.table(rows))}"


def demo(data: str, out: Path, recipe: "Recipe | None", progress: Callable[[str], None]) -> Demo:
    """Write the example tables into `out`/input, run into `out`/run, and decide a generated experiment.

    Without a recipe, the one made for the data set.
    """
    if out.is_file():
        raise InputError(f"--out {out} is a file. Give a folder.")
    recipe = recipe or own_recipe(data)
    progress(f"Writing the example tables to {out / 'input'}")
    events, items = write_tables(data, out / "input")
    folder = run_training(events, items, out / "run", recipe.model_dump_json(), progress)
    if data == "world":
        progress("oracle")
        measure_oracle(events, items, folder / "metrics.json", recipe)
    run = report.read_run(folder)
    return Demo(data, run, *decide_generated_experiment(list(run.metrics["scenarios"])))


def own_recipe(data: str) -> "Recipe":
    from redrec.presets import complete_journey
    from redrec.recipe import Recipe

    return complete_journey() if data == "complete-journey" else Recipe()


def write_tables(data: str, folder: Path) -> tuple[Path, Path]:
    if data == "complete-journey":
        from redrec.data.complete_journey import write

        return write(folder)
    from redrec.data.world import World, WorldConfig

    return World(WorldConfig()).write(folder)


def measure_oracle(events: Path, items: Path, metrics: Path, recipe: "Recipe") -> None:
    """Add the generated world's oracle to the metrics, on the very users and targets of the run."""
    from redrec.data.prepare import prepare
    from redrec.data.world import World, WorldConfig
    from redrec.evaluation.oracle import add_oracle

    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        prepare(events, items, data, recipe.data)
        add_oracle(World(WorldConfig()), data, metrics, recipe)


def decide_generated_experiment(scenarios: Sequence[str]) -> tuple[dict[str, float], dict[str, Decision]]:
    """Simulate an experiment with a planted effect per scenario, and let the gate decide from its log alone."""
    planted = {name: PLANTED_EFFECTS[i % len(PLANTED_EFFECTS)] for i, name in enumerate(scenarios)}
    simulation = Simulation(
        experiment=EXPERIMENT,
        scenarios=tuple(SimulatedScenario(name=name, click_effect=effect) for name, effect in planted.items()),
        num_users=NUM_USERS,
        num_days=NUM_DAYS,
        seed=SEED,
    )
    plan = Plan(experiment=EXPERIMENT, scenarios=tuple(scenarios), num_days=NUM_DAYS)
    return planted, fixed_horizon_gate(simulate(simulation), plan)
