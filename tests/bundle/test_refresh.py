"""Refresh: which items get vectors, what stays as it was, and what is refused."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from redrec.bundle.reader import Bundle
from redrec.bundle.refresh import Refreshed, refresh_bundle
from redrec.config import InputError
from redrec.data.histories import NEVER
from redrec.folders import ShardFolder
from redrec.index.filters import Catalog, ItemFilter
from tests.bundles import item_rows, planted_embed

NEW = {"item_id": "item-000b", "title": "A new kettle", "category": "tools"}  # its id sorts among the others
RETITLED = {"item_id": "item-004", "title": "Another title", "category": "tools"}


class Embedder:
    """Embeds as planted, and remembers of which items."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, items: Path, out: Path) -> None:
        self.ids += pq.read_table(items)["item_id"].to_pylist()
        planted_embed(items, out)


@pytest.fixture
def embed() -> Embedder:
    return Embedder()


def refreshed(live: Bundle, embed: Embedder, *rows: dict[str, object], withdrawn: tuple[str, ...] = ()) -> Bundle:
    out = live.path.with_name(f"next-{len(list(live.path.parent.iterdir()))}")
    refresh_bundle(live, item_rows(*rows), withdrawn, out, embed)
    return Bundle.load(out)


@pytest.fixture
def live(run: Path) -> Bundle:
    return Bundle.load(run / "bundle")


def same_row(live: Bundle, item: str) -> dict[str, object]:
    return live.items.slice(live.item_index[item], 1).to_pylist()[0]


def is_shown(bundle: Bundle, item: str, scenario: str) -> bool:
    catalog = Catalog(bundle.items, bundle.item_index)
    return bool(catalog.is_allowed(ItemFilter(scenario=scenario))[bundle.item_index[item]])


def test_a_new_item_comes_after_all_others_which_keep_their_numbers_and_vectors(live: Bundle, embed: Embedder):
    after = refreshed(live, embed, NEW)
    assert after.item_ids == [*live.item_ids, "item-000b"]
    assert np.array_equal(after.embeddings_ND[:-1], live.embeddings_ND)
    assert np.array_equal(after.vectors_NE[:-1], live.vectors_NE)
    assert np.linalg.norm(after.embeddings_ND[-1].astype(float)) == pytest.approx(1, abs=0.01)
    assert after.ranker.first_ms_N.tolist() == [*live.ranker.first_ms_N.tolist(), NEVER]
    assert after.manifest.id != live.manifest.id


def test_only_new_and_changed_items_are_embedded(live: Bundle, embed: Embedder):
    moved = same_row(live, "item-006") | {"scenarios": ["search"]}  # the model reads no scenarios
    counts = refresh_bundle(live, item_rows(NEW, RETITLED, moved), ("item-009",), live.path.with_name("next"), embed)
    assert (counts, embed.ids) == (Refreshed(new=1, changed=1, kept=1, withdrawn=1), ["item-000b", "item-004"])
    after = Bundle.load(live.path.with_name("next"))
    is_other_N = (after.embeddings_ND[:-1] != live.embeddings_ND).any(axis=1)
    assert np.flatnonzero(is_other_N).tolist() == [live.item_index["item-004"]]
    assert same_row(after, "item-006") == moved
    assert is_shown(after, "item-006", "search") and not is_shown(after, "item-006", "ads")


def test_a_new_window_changes_no_vector_and_a_missing_one_ends_it(live: Bundle, embed: Embedder):
    closed = same_row(live, "item-004") | {"available_until": datetime(2026, 5, 1, tzinfo=UTC)}
    after = refreshed(live, embed, closed)
    assert same_row(after, "item-004") == closed and not embed.ids
    opened = refreshed(after, embed, closed | {"available_until": None})
    assert same_row(opened, "item-004") == same_row(live, "item-004")
    assert opened.manifest.id not in (after.manifest.id, live.manifest.id)  # refreshes write their own types


def test_a_bundle_without_the_columns_of_windows_gets_them(live: Bundle, embed: Embedder):
    older = live._replace(items=live.items.drop_columns(["available_from", "available_until"]))
    after = refreshed(older, embed, NEW | {"available_from": datetime(2026, 5, 1, tzinfo=UTC)})
    assert after.items["available_from"].to_pylist() == [None] * len(live.items) + [datetime(2026, 5, 1, tzinfo=UTC)]
    assert after.items["available_until"].null_count == len(after.items)


def test_a_withdrawn_item_is_shown_nowhere_until_it_is_given_again(live: Bundle, embed: Embedder):
    gone = refreshed(live, embed, withdrawn=("item-004",))
    assert is_shown(live, "item-004", "ads") and not is_shown(gone, "item-004", "ads")
    assert gone.item_ids == live.item_ids and np.array_equal(gone.vectors_NE, live.vectors_NE)
    back = refreshed(gone, embed, same_row(live, "item-004"))
    assert is_shown(back, "item-004", "ads") and not embed.ids


def test_the_same_items_again_change_nothing(live: Bundle, embed: Embedder):
    once = refreshed(live, embed, NEW, RETITLED)
    assert refreshed(once, embed, NEW, RETITLED).manifest.id == once.manifest.id
    assert embed.ids == ["item-000b", "item-004"]


@pytest.mark.parametrize(
    ("rows", "withdrawn", "problem"),
    [
        ((), ("item-999",), "has no item item-999, so it cannot be withdrawn"),
        ((RETITLED,), ("item-004",), "Item item-004 is given and withdrawn at once"),
    ],
)
def test_items_that_cannot_be_withdrawn_are_named(
    live: Bundle, embed: Embedder, rows: tuple[dict[str, object], ...], withdrawn: tuple[str, ...], problem: str
):
    with pytest.raises(InputError, match=problem):
        refresh_bundle(live, item_rows(*rows), withdrawn, live.path, embed)
    assert Bundle.load(live.path).manifest == live.manifest


def test_vectors_that_fail_the_verification_leave_the_bundle_as_it_was(live: Bundle):
    def broken(items: Path, out: Path) -> None:
        planted_embed(items, out)
        path = ShardFolder(out).item_embeddings
        np.save(path, 2 * np.load(path))

    with pytest.raises(InputError, match="norm"):
        refresh_bundle(live, item_rows(NEW), (), live.path, broken)
    assert Bundle.load(live.path).manifest == live.manifest
