"""A plan of three scenarios, and simulated logs of its experiment."""

import pyarrow as pa

from redrec.experiments.gate import Plan
from redrec.experiments.simulation import SimulatedScenario, Simulation, simulate

SCENARIOS = ("homefeed", "search", "ads")


def planned(**changes) -> Plan:
    return Plan(experiment="towers-2", scenarios=SCENARIOS, num_days=7, guardrail_margin=0.5).model_copy(update=changes)


def simulated(seed, num_users=2_000, effects=None, hide_effects=None, experiment="towers-2", **changes) -> pa.Table:
    """Clicks cluster by user; `effects` and `hide_effects` are relative changes by scenario."""
    scenarios = tuple(
        SimulatedScenario(
            name=name, click_effect=(effects or {}).get(name, 0), hide_effect=(hide_effects or {}).get(name, 0)
        )
        for name in SCENARIOS
    )
    return simulate(Simulation(experiment=experiment, scenarios=scenarios, num_users=num_users, seed=seed, **changes))
