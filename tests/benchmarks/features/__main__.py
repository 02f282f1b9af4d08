"""The feature path at scale, on a generated log: prepare tables, store and read histories, push events.

python -m tests.benchmarks.features --events 1000000 --json
"""

import argparse
import json
import platform
from typing import Any

from tests.benchmarks.features import fresh, prepare, stores
from tests.benchmarks.measure import commit

MEASUREMENTS = {"prepare": prepare.run, "stores": stores.run, "fresh": fresh.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.features")
    parser.add_argument("--part", choices=list(MEASUREMENTS), action="append", help="what to measure (default: all)")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log (default: 1000000)")
    parser.add_argument("--repeats", type=int, default=3, help="measured runs of each side of prepare (default: 3)")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "benchmark": "features",
        "commit": commit(),
        "machine": platform.processor() or platform.machine(),
    }
    result |= {"events": arguments.events, "repeats": arguments.repeats}
    result |= {name: MEASUREMENTS[name](arguments.events, arguments.repeats) for name in arguments.part or MEASUREMENTS}
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
