"""Push: add new events to the online histories of their users; the next read sees them.

An event is checked like a row of the event table (`redrec.data.validity`); a bad one is refused with its reason, the
others are kept. The history of its user and scenario is read, the event is inserted by its time, however late it came,
and the newest events, as many as `materialize` keeps, are written back. Item, action and time identify an event: if a
client sends it again, or `materialize` later reads it from the event table, nothing is added.

Reading and writing back are two steps, so pushes into one store go one after another (`feature_repo.write_lock`), from
whichever process they come.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from feature_repo.online import OnlineHistories, StoredEvent, newest
from feature_repo.write_lock import writing
from redrec.data import validity
from redrec.history import now_ms


class PushedEvent(NamedTuple):
    user_id: str
    item_id: str
    scenario: str
    action: str
    timestamp_ms: int | None  # None: missing, or not a time; such an event is refused


class Refused(NamedTuple):
    event: PushedEvent
    reason: str


class Pushed(NamedTuple):
    """How many events were added, were `known` (stored before), or were `late` (older than all that are kept)."""

    added: int
    known: int
    late: int
    refused: tuple[Refused, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {"added": self.added, "known": self.known, "late": self.late}


def by_reason(refused: Iterable[Refused]) -> dict[str, list[dict[str, Any]]]:
    """Return the refused events, as mappings, by the reason."""
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event, reason in refused:
        events[reason].append(event._asdict())
    return dict(events)


class Pusher:
    """Writes into one feature store folder, which must not be mounted read-only; `item_ids` is the catalog."""

    def __init__(self, folder: Path, item_ids: Container[str]) -> None:
        self.histories, self.item_ids = OnlineHistories(folder), item_ids

    def push(self, events: Iterable[PushedEvent]) -> Pushed:
        """Add the valid events; all of them are visible when this returns."""
        self.histories, moment_ms = self.histories.current(), now_ms()
        refused: list[Refused] = []
        new: dict[str, dict[str, set[StoredEvent]]] = defaultdict(lambda: defaultdict(set))
        for event in events:
            reason = self._reason(event, moment_ms)
            if reason is not None:
                refused.append(Refused(event, reason))
            else:
                assert event.timestamp_ms is not None
                stored = StoredEvent(event.timestamp_ms, event.item_id, event.action)
                new[event.scenario][event.user_id].add(stored)
        with writing(self.histories):
            counts = sum((self._add(scenario, of_user) for scenario, of_user in new.items()), Counter())
        return Pushed(counts["added"], counts["known"], counts["late"], tuple(refused))

    def _reason(self, event: PushedEvent, moment_ms: int) -> str | None:
        """Return why the event is refused, None if it is not."""
        scenarios = self.histories.view_of_scenario
        fault = validity.event_fault(**event._asdict(), scenarios=scenarios, now_ms=moment_ms)
        if fault is not None:
            return fault
        return None if event.item_id in self.item_ids else validity.UNKNOWN_ITEM

    def _add(self, scenario: str, new: Mapping[str, set[StoredEvent]]) -> Counter[str]:
        """Write back the histories that change; count the added, known and late events."""
        counts: Counter[str] = Counter()
        changed = {}
        for user_id, stored in zip(new, self.histories.read_scenario(scenario, list(new)), strict=True):
            events, before = new[user_id], set(stored)
            kept = newest(before | events, self.histories.max_events)
            num_added = len(set(kept) - before)
            counts += Counter(added=num_added, known=len(events & before), late=len(events - before) - num_added)
            if num_added:
                changed[user_id] = kept
        self.histories.write_scenario(scenario, changed)
        return counts
