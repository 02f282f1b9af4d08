"""Compare: two event logs in, the drift of each scenario out."""

from collections.abc import Mapping
from pathlib import Path

from redrec.drift.calibration import NOT_CALIBRATED, Calibration, Effects
from redrec.drift.config import DriftConfig
from redrec.drift.decide import column_drift, drifted
from redrec.drift.logs import VECTOR, Logs
from redrec.drift.profile import profiles
from redrec.drift.significance import ColumnChange, changes
from redrec.drift.users import WINDOWS, Chosen, ScenarioEvents, choose_users, scenario_events
from redrec.drift.verdicts import ColumnDrift, Drift, DriftVerdict, ScenarioDrift, Window

Counts = Mapping[Window, int]


def compare(logs: Logs, config: DriftConfig, scratch: Path, calibration: Calibration = NOT_CALIBRATED) -> Drift:
    """Return the verdicts; `scratch` is a folder for what is read more than once."""
    chosen = choose_users(logs, config, scratch)
    scenarios = {}
    for name in chosen.num_users:
        columns = {}
        if is_comparable(logs, chosen, name, config):
            own = scenario_events(logs, chosen, name, scratch)
            columns = _columns(name, own, len(chosen.num_users), config, calibration)
        scenarios[name] = _scenario(logs, chosen.num_users[name], chosen.num_events[name], columns, config)
    windows: dict[Window, tuple[str, str]] | None = None
    if logs.windows:
        windows = {"reference": logs.windows[0].iso, "current": logs.windows[1].iso}
    left_out = dict(zip(WINDOWS, logs.left_out, strict=True))
    return Drift(windows=windows, left_out=left_out, scenarios=scenarios)


def effects(logs: Logs, config: DriftConfig, scratch: Path) -> Effects:
    """Return how large each column's change is, without a verdict."""
    chosen = choose_users(logs, config, scratch)
    of_scenarios: Effects = {}
    for name in chosen.num_users:
        if is_comparable(logs, chosen, name, config):
            of_columns = column_changes(scenario_events(logs, chosen, name, scratch), len(chosen.num_users), config)
            of_scenarios[name] = {column: change.effects for column, change in of_columns.items()}
    return of_scenarios


def is_comparable(logs: Logs, chosen: Chosen, scenario: str, config: DriftConfig) -> bool:
    return logs.windows is not None and min(chosen.num_users[scenario].values()) >= config.min_users


def column_changes(own: ScenarioEvents, num_scenarios: int, config: DriftConfig) -> dict[str, ColumnChange]:
    """Return the change of each column, that of the items' vectors under VECTOR."""
    names = [name for name, kind in own.logs.types.items() if kind == "vector"]
    names += [VECTOR] if own.logs.vectors is not None else []
    sums = {name: own.vector_sums(name, config) for name in names}
    vectors = {name: one for name, one in sums.items() if one is not None}
    return changes(own.sums(), vectors, config, num_scenarios)


def _columns(
    scenario: str, own: ScenarioEvents, num_scenarios: int, config: DriftConfig, calibration: Calibration
) -> dict[str, ColumnDrift]:
    seen = profiles(own.events, own.logs.types)
    columns = {}
    for name, change in column_changes(own, num_scenarios, config).items():
        floor = calibration.floor(scenario, change, config)
        columns[name] = column_drift(change, seen.get(name), name in own.logs.mixed, floor, config)
    return columns


def _scenario(
    logs: Logs, users: Counts, events: Counts, columns: dict[str, ColumnDrift], config: DriftConfig
) -> ScenarioDrift:
    verdict, reason = _verdict(logs, users, events, columns, config)
    return ScenarioDrift(
        verdict=verdict,
        action="none",  # `redrec.drift.actions` decides it
        reason=reason,
        users=dict(users),
        events=dict(events),
        columns={name: column for name, column in columns.items() if name != VECTOR},
        interests=columns.get(VECTOR),
    )


def _verdict(
    logs: Logs,
    users: Counts,
    events: Counts,
    columns: Mapping[str, ColumnDrift],
    config: DriftConfig,
) -> tuple[DriftVerdict, str]:
    if users["reference"] >= config.min_users and not users["current"]:
        return "missing", f"none of {users['reference']:,} users is left in the current window"
    if not logs.windows:
        return "insufficient", logs.shortage
    for what, counts in (("users", users), ("events", events)):
        before, after = counts["reference"], counts["current"]
        is_near = before / config.volume_ratio <= after <= before * config.volume_ratio
        if users["reference"] >= config.min_users and not is_near:
            return "volume", f"{after:,} {what} in the current window, {before:,} in the reference"
    fewest = min(users.values())
    if fewest < config.min_users:
        return "insufficient", f"{fewest:,} users in a window, fewer than {config.min_users:,}"
    reasons = drifted(columns)
    return ("drift", "; ".join(reasons)) if reasons else ("stable", f"no change in {len(columns)} columns")
