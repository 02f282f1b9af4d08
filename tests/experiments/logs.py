"""A plan of three scenarios, and the tables of its generated experiments."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from redrec.experiments.plan import Guardrail, Plan
from redrec.experiments.simulation import SimulatedScenario, SimulatedTables, Simulation, simulate

SCENARIOS = ("homefeed", "search", "ads")
START = datetime(2026, 11, 2, tzinfo=UTC)
HIDES = Guardrail(event="hide", per="impression", direction="down", margin=0.5)


def planned(**changes) -> Plan:
    fields = {"experiment": "towers-2", "scenarios": SCENARIOS, "start": START, "days": 7, "guardrails": (HIDES,)}
    return Plan(**{**fields, "volume_margin": 0.2, **changes})


def simulated(seed, plan=None, num_users=2_000, effects=None, hide_effects=None, **changes) -> SimulatedTables:
    """Clicks cluster by user; `effects` and `hide_effects` are relative changes by scenario."""
    scenarios = tuple(
        SimulatedScenario(
            name=name, click_effect=(effects or {}).get(name, 0), hide_effect=(hide_effects or {}).get(name, 0)
        )
        for name in SCENARIOS
    )
    return simulate(Simulation(scenarios=scenarios, num_users=num_users, seed=seed, **changes), plan or planned())


def written(tables: SimulatedTables, folder: Path) -> tuple[Path, Path]:
    """Write the tables, and return the paths of exposures and outcomes."""
    paths = folder / "exposures.parquet", folder / "outcomes.parquet"
    for table, path in zip(tables, paths, strict=True):
        pq.write_table(table, path)
    return paths
