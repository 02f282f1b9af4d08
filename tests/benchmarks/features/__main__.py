"""The feature path at scale: each part is a module with `run(num_events, repeats)`, on a generated log."""

import argparse
import json
import platform

from tests.benchmarks.features import prepare
from tests.benchmarks.measure import commit

PARTS = {"prepare": prepare.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.features")
    parser.add_argument("--part", choices=list(PARTS), default="prepare", help="what to measure (default: prepare)")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log (default: 1000000)")
    parser.add_argument("--repeats", type=int, default=3, help="measured runs of each side (default: 3)")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    result = {"benchmark": "features", "commit": commit(), "machine": platform.processor() or platform.machine()}
    result |= vars(arguments) | PARTS[arguments.part](arguments.events, arguments.repeats)
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
