import numpy as np
import pytest
import torch

from redrec.model.encoders.config import HashedConfig
from redrec.model.encoders.hashed import hashed_tokens, write_hashed
from redrec.model.encoders.registry import make_encoder, readings, write_new_content
from tests.model.catalogs import encode, titled, write_items

CONFIG = HashedConfig(num_buckets=1000)
DISTINCT = ("black tea", "running shoe", "steel shovel", "wool scarf")


def contents_of(folder, rows, config=CONFIG) -> list[list[int]]:
    """Return the buckets of each item."""
    content = write_hashed(write_items(folder, rows), folder / "content", config)
    return [content.of(np.array([n]))["tokens_T"].tolist() for n in range(len(content))]


def words(title: str) -> list[int]:
    return hashed_tokens([("title", title)], CONFIG)


def test_tags_categories_and_ids_are_hashed_whole(tmp_path):
    """Two tags and an id are three features; as words it would be more."""
    rows = [{"tags": ["very green", "loose leaf"]}, {"tags": None}]
    assert [len(item) for item in contents_of(tmp_path, rows, HashedConfig(fields=("tags", "item_id")))] == [3, 1]


def test_items_with_a_text_of_their_own_are_their_words(tmp_path):
    assert contents_of(tmp_path, titled(*DISTINCT)) == [words(title) for title in DISTINCT]


def test_items_with_the_same_text_have_own_buckets_besides(tmp_path):
    items = contents_of(tmp_path, titled("green tea", *DISTINCT, "Green TEA"))
    assert items == [[*words("green tea"), 1000], *map(words, DISTINCT), [*words("green tea"), 1001]]


def test_the_order_of_tags_does_not_make_two_items_different(tmp_path):
    """The vectors of the tags are added up."""
    items = contents_of(tmp_path, [{"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {"tags": ["b"]}, {"tags": ["c"]}])
    assert [max(item) >= 1000 for item in items] == [True, True, False, False]


def test_a_text_is_the_same_if_it_differs_after_its_last_token_alone(tmp_path):
    """As in long texts, and then the own bucket is still there."""
    config = HashedConfig(num_buckets=1000, max_tokens=2)
    items = contents_of(tmp_path, titled("green tea leaf", "green tea shoe", *DISTINCT), config)
    assert [item[2:] for item in items[:2]] == [[1000], [1001]]


@pytest.mark.parametrize("nothing", [None, "", " ", "!?"])
def test_an_item_without_text_is_its_own_bucket(tmp_path, nothing):
    assert contents_of(tmp_path, titled(nothing, *DISTINCT))[0] == [1000]
    assert contents_of(tmp_path, titled(nothing, DISTINCT[0], nothing)) == [[1000], words(DISTINCT[0]), [1001]]


def test_a_text_of_most_items_says_nothing(tmp_path):
    half, most = titled(*["product"] * 4, *DISTINCT), titled(*["product"] * 5, *DISTINCT)
    assert contents_of(tmp_path, half)[0] == [*words("product"), 1000]
    assert contents_of(tmp_path, most)[:6] == [[1000], [1001], [1002], [1003], [1004], words(DISTINCT[0])]


def test_the_table_has_a_row_for_each_own_bucket_and_else_its_size_is_that_of_the_words(tmp_path):
    for titles, num_rows in ((DISTINCT, 1000), (("", "", *DISTINCT), 1002)):
        content = write_hashed(write_items(tmp_path, titled(*titles)), tmp_path / "content", CONFIG)
        encoder = make_encoder(CONFIG, content, item_dim=8)
        assert encoder.bags.weight.shape == (num_rows, 8)
        assert len(torch.unique(encode(encoder, content), dim=0)) == len(titles)


def test_a_catalog_without_any_text_is_its_ids(tmp_path):
    content = write_hashed(write_items(tmp_path, titled(None, None, None)), tmp_path / "content", CONFIG)
    encoder = make_encoder(CONFIG, content, item_dim=8)
    assert len(torch.unique(encode(encoder, content), dim=0)) == 3


def test_a_new_item_is_its_words_alone_unless_they_are_those_of_most_items_of_the_training(tmp_path):
    """Whatever texts the other new items have."""
    trained, new = (tmp_path / name for name in ("trained", "new"))
    contents_of(tmp_path, titled(*["product"] * 5, *DISTINCT))
    (tmp_path / "content").rename(trained)
    items = write_items(tmp_path, titled("product", "", *["green tea"] * 3, DISTINCT[0]))
    content = write_new_content(items, new, CONFIG, trained)
    tokens = [content.of(np.array([n]))["tokens_T"].tolist() for n in range(len(content))]
    assert tokens == [[], [], *[words("green tea")] * 3, words(DISTINCT[0])]


def test_what_is_read_of_an_item_are_its_configured_fields(tmp_path):
    rows = [{"title": "tea", "category": "a"}, {"title": "tea", "category": "b"}, {"title": "a", "category": "tea"}]
    first, second, third = readings(write_items(tmp_path, rows), HashedConfig(fields=("title",)))
    assert first == second != third
    assert len(set(readings(write_items(tmp_path, rows), CONFIG))) == 3
