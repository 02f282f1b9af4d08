"""Refresh: new, changed and withdrawn items into a run that is served, under load.

One item in a hundred is new (the title of another with a word more), and the first item of a user's list is withdrawn.
`redrec items` runs as a process of its own beside a server on the same folder, which clients query without a pause.

    python -m tests.benchmarks.refresh --run demo/run --json
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from serving.client import query
from tests.benchmarks.measure import ROOT, commit, say
from tests.redis_server import free_port
from tests.serving.clients import Clients, shown
from tests.serving.processes import end, start, wait_until_ready

NEW_SHARE = 0.01
USER = "u00000000"


def write_new(bundle: Bundle, path: Path) -> int:
    """Write the new items and return how many they are."""
    titles = bundle.items["title"].to_pylist()[:: round(1 / NEW_SHARE)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title"])
        writer.writerows([f"new-{number}", f"{title} new"] for number, title in enumerate(titles))
    return len(titles)


def measured(run: RunFolder) -> dict[str, Any]:
    """Return the seconds of the command and until the answers show it, and the requests meanwhile."""
    before, new = Bundle.load(run.bundle), run.path.with_name("new_items.csv")
    num_new, scenario, port = write_new(before, new), before.manifest.scenarios[0], free_port()
    server = start("--bundle", str(run.bundle), "--features", str(run.features), "--http_port", str(port))
    try:
        wait_until_ready(url := f"http://127.0.0.1:{port}", server)
        with Clients(partial(query, url, USER, scenario, 10)) as clients:
            clients.seconds_until(bool)
            gone = clients.answers[0]["items"][0]["item_id"]
            say(f"{num_new} new items; {gone} is withdrawn")
            begin = time.monotonic()
            report = redrec("items", "--run", run.path, "--items", new, "--withdraw", gone)
            command_s = time.monotonic() - begin
            clients.seconds_until(lambda answer: answer["bundle_id"] == report["bundle"])
            retrievable_s = time.monotonic() - begin
        after = [answer for answer in clients.answers if answer["bundle_id"] == report["bundle"]]
    finally:
        end(server)
        redrec("activate", "--run", run.path, "--bundle", before.manifest.id)
    return {
        **report,
        "command_s": round(command_s, 1),
        "row_to_retrievable_s": round(retrievable_s, 1),
        "requests": len(clients.answers),
        "failed": len(clients.errors),
        "shown_after_withdrawal": sum(gone in shown(answer) for answer in after),
    }


def redrec(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli.main", *map(str, arguments), "--json"]
    result: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.refresh")
    parser.add_argument("--run", type=Path, required=True, help="run folder; its bundle is put back at the end")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    report = {"benchmark": "refresh", "commit": commit(), "result": measured(RunFolder(arguments.run))}
    print(json.dumps(report, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
