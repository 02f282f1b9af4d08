"""`redrec push`: add new events to the online histories of a run."""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.command import Outcome
from redrec.bundle.check import check_run
from redrec.folders import BundleFolder, RunFolder, read_json

if TYPE_CHECKING:
    from redrec.data.inputs import ColumnChoices

SUMMARY = "add new events to the online histories of a run"
EXAMPLE = r"""# after `redrec demo`
printf 'user_id,item_id,scenario,action,timestamp\nu00000000,i0000547,search,click,2024-01-14 09:30:00\n' > new.csv
redrec push --run demo/run --events new.csv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run folder, as `redrec run` writes it")
    parser.add_argument("--events", required=True, help="new events, in the columns and types of the run's events")


def run(arguments: argparse.Namespace) -> Outcome:
    check_run(arguments.run)
    from feature_repo.event_table import events_of

    folder = RunFolder(arguments.run)
    blocks = events_of(arguments.events, choices_of(folder.bundle))
    from feature_repo.push import Pusher, by_reason
    from redrec.bundle.reader import Bundle

    pusher = Pusher(folder.features, Bundle.load(folder.bundle).item_index)
    counts: Counter[str] = Counter(added=0, known=0, late=0)
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for block in blocks:
        pushed = pusher.push(block)
        counts.update(pushed.counts)
        for reason, events in by_reason(pushed.refused).items():
            refused[reason] += events
    return Outcome({**counts, "refused": refused}, pushed_text(counts, refused))


def choices_of(bundle: Path) -> "ColumnChoices":
    """Return how the run read the columns of its events."""
    from redrec.config import section
    from redrec.data.prepare import DataConfig

    recipe = read_json(BundleFolder(bundle).manifest)["config"]
    return section(recipe, "data", DataConfig).choices


def pushed_text(counts: Mapping[str, int], refused: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return how many events were added, and for each reason of refusal their number and an example."""
    lines = [f"{counts['added']:,} events added, {counts['known']:,} known, {counts['late']:,} too old to be kept."]
    for reason, events in refused.items():
        lines.append(f"{len(events):,} refused: {reason}\n  such as {json.dumps(events[0])}")
    return "\n".join([*lines, "\nThe next `redrec query` for these users uses them."])
