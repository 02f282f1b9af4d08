"""An experiment of two bundles on one feature store, and a real server of both."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families

from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.tables import connect, read
from redrec.experiments.allocation import Allocation
from redrec.experiments.plan import Arm, Plan
from redrec.folders import RunFolder
from tests.bundles import tiny_run, write_tiny_model
from tests.redis_server import free_port
from tests.serving.processes import end, start, wait_until_ready
from tests.serving.retrieval import PATIENT, SEEN

TREATMENT_SEED = 1
HISTORY = [
    {"item_id": item, "action": "click", "scenario": "homefeed", "timestamp_ms": 1_700_000_000_000 + i}
    for i, item in enumerate(SEEN)
]
MAX_INSTANCES = 64
NUMBERS = count()  # of requests for new users
CHANGE_S = 3.0  # within which a change is seen here; it takes up to 1.5 s


class TwoBundles(NamedTuple):
    control: Bundle
    treatment: Bundle
    features: Path

    def plan(self, **changes: Any) -> Plan:
        fields: dict[str, Any] = {
            "experiment": "towers-2",
            "scenarios": ("homefeed", "ads"),
            "start": datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1),
            "control": Arm(name="control", bundle=self.control.manifest.id),
            "treatment": Arm(name="treatment", bundle=self.treatment.manifest.id),
        }
        return Plan(**{**fields, **changes})


def two_bundles(folder: Path, num_items: int = 48) -> TwoBundles:
    """Build two bundles of the same data: the control in `folder`, the treatment in `folder/treatment`."""
    control, other = tiny_run(folder, num_items), folder / "treatment"
    shutil.copytree(folder / "data", other / "data")
    model = write_tiny_model(other, len(control.manifest.scenarios), TREATMENT_SEED)
    feature_hash = control.manifest.feature_hash
    treatment = build_bundle(other / "data", model, other / "bundle", metrics=None, feature_hash=feature_hash)
    return TwoBundles(control, treatment, RunFolder(folder).features)


class Server(NamedTuple):
    url: str
    process: subprocess.Popen
    allocation: Path
    exposures: Path

    def predict(self, scenario: str, users: list[str], **fields: Any) -> list[dict[str, Any]]:
        """Return one prediction per user."""
        predictions: list[dict[str, Any]] = []
        for first in range(0, len(users), MAX_INSTANCES):
            of_users = users[first : first + MAX_INSTANCES]
            common = {"scenario": scenario, "k": 3, "history": HISTORY, **fields}
            body = {"instances": [{"user_id": user, **common} for user in of_users]}
            predictions += self.post("v1/models/redrec:predict", body)["predictions"]
        return predictions

    def arms(self, scenario: str, users: list[str]) -> list[str]:
        return [one["arm"] for one in self.predict(scenario, users)]

    def arms_of_new_users(self) -> list[str]:
        """Return the arms in ads of users that no request has named before."""
        number = next(NUMBERS)
        return self.arms("ads", [f"load-{number}-{n}" for n in range(8)])

    def post(self, path: str, body: object) -> dict[str, Any]:
        request = Request(f"{self.url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as response:
            return json.load(response)

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urlopen(f"{self.url}/{path}", timeout=30) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)

    def metric(self, name: str, outcome: str) -> float:
        with urlopen(f"{self.url}/metrics", timeout=30) as response:
            families = text_string_to_metric_families(response.read().decode())
        for family in families:
            for sample in family.samples:
                if sample.name == f"{name}_total" and sample.labels == {"outcome": outcome}:
                    return sample.value
        return 0.0

    def allocate(self, content: Allocation | str, outcome: str = "applied") -> float:
        """Replace the allocation file as a tool would, and return the seconds until the server has seen it."""
        before = self.metric("redrec_allocation_changes", outcome)
        text = content if isinstance(content, str) else content.model_dump_json()
        new = self.allocation.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.allocation)
        began = time.monotonic()
        while self.metric("redrec_allocation_changes", outcome) == before:
            assert time.monotonic() - began < CHANGE_S, f"the change is not {outcome} after {CHANGE_S} s"
            time.sleep(0.02)
        return time.monotonic() - began

    def exposed(self, num_rows: int) -> list[dict[str, str]]:
        """Return the rows of the exposures once there are so many, and no more a moment later."""
        began = time.monotonic()
        while len(self._rows()) < num_rows:
            assert time.monotonic() - began < 10, f"{len(self._rows())} rows, not {num_rows}"
            time.sleep(0.05)
        time.sleep(0.5)
        rows = self._rows()
        assert len(rows) == num_rows
        return rows

    def _rows(self) -> list[dict[str, str]]:
        try:
            return read(connect(), self.exposures, "exposures").to_pyarrow().to_pylist()
        except InputError:  # no file yet
            return []

    def forget_exposures(self) -> None:
        """Remove what was written; the server begins another file."""
        time.sleep(0.5)
        for file in self.exposures.iterdir():
            file.unlink()


@contextmanager
def serving(bundles: TwoBundles, folder: Path, allocation: Allocation | None, **others: int | str) -> Iterator[Server]:
    """Serve both arms, or without an allocation the control alone; `others` are options, such as further ports."""
    port, config, file = free_port(), folder / "serving.json", folder / "allocation.json"
    config.write_text(PATIENT.model_dump_json())
    options = {
        "bundle": bundles.control.path,
        "features": bundles.features,
        "serving_config": config,
        "http_port": port,
    }
    if allocation is not None:
        file.write_text(allocation.model_dump_json())
        options |= {"treatment": bundles.treatment.path, "allocation": file, "exposures": folder / "exposures"}
    words: list[str] = []
    for name, value in (options | others).items():
        words += [f"--{name}", str(value)]
    process = start(*words)
    try:
        server = Server(f"http://127.0.0.1:{port}", process, file, folder / "exposures")
        wait_until_ready(server.url, process)
        yield server
    finally:
        end(process)


def write_outcomes(path: Path, exposures: list[dict[str, str]], changes: dict[tuple[str, str], int]) -> None:
    """Write 10 impressions and 4 to 6 clicks of each exposed user, a second later; `changes` adds clicks to an arm."""
    rows = []
    for number, exposure in enumerate(sorted(exposures, key=itemgetter("user_id"))):
        happened = datetime.fromisoformat(exposure["timestamp"]) + timedelta(seconds=1)
        own = {"user_id": exposure["user_id"], "scenario": exposure["scenario"], "timestamp": happened}
        clicks = 4 + number % 3 + changes.get((exposure["scenario"], exposure["arm"]), 0)
        for event, value in (("impression", 10.0), ("click", float(clicks))):
            rows.append({**own, "event_id": f"{event}-{exposure['exposure_id']}", "event": event, "value": value})
    pq.write_table(pa.Table.from_pylist(rows), path)
