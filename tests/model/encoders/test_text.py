import numpy as np
import pytest
import torch

from redrec.config import InputError
from redrec.model.encoders import content
from redrec.model.encoders.config import TextConfig
from redrec.model.encoders.language_model import load_tokenizer
from redrec.model.encoders.registry import readings, write_content, write_new_content
from redrec.model.encoders.template import TextField
from tests.model.catalogs import WORDS, encode, minilm, tiny_decoder, titled, write_items
from tests.model.encoders.texts import TITLE, TITLES, built, pooled


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


def test_similar_titles_are_closer_than_others(tmp_path):
    rows = titled("organic green tea leaves", "loose leaf green tea", "steel garden shovel", "spade for digging soil")
    _, content = built(tmp_path, rows, model=minilm())
    vectors_MV = torch.nn.functional.normalize(content.of(np.arange(4))["vectors_MV"])
    cosine_MM = vectors_MV @ vectors_MV.T
    assert min(cosine_MM[0, 1], cosine_MM[2, 3]) > cosine_MM[:2, 2:].max() + 0.3


@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
def test_frozen_vectors_are_those_that_training_in_full_begins_with(tmp_path, decoder, pooling):
    """Frozen ones are centred and scaled besides, as a whole."""
    rows = titled("green tea", "! running shoe leaf green", "tea", "shoe !")
    full, tokens = built(tmp_path, rows, model=decoder, pooling=pooling, regime="full")
    _, frozen = built(tmp_path, rows, model=decoder, pooling=pooling)
    vectors_MV = pooled(full, tokens, range(4))
    vectors_MV = vectors_MV - vectors_MV.mean(0)
    expected_MV = vectors_MV / vectors_MV.square().mean().sqrt()
    torch.testing.assert_close(frozen.of(np.arange(4))["vectors_MV"], expected_MV, rtol=0, atol=5e-3)


def test_an_item_without_text_gets_the_learned_vector(tmp_path, decoder):
    for regime in ("frozen", "full"):
        encoder, content = built(tmp_path, TITLES, model=decoder, regime=regime)
        projection = encoder if regime == "frozen" else encoder.projection
        torch.nn.init.normal_(projection.absent_E)
        assert torch.equal(encode(encoder, content)[3], projection.absent_E)


def test_each_field_keeps_to_its_budget(tmp_path, decoder):
    """Whole words are tokens here: `title:` and `tags:` are unknown ones, tags lose their comma to [UNK] too."""
    fields = (
        TextField(name="title", max_tokens=3),
        TextField(name="tags", max_tokens=2),
        TextField(name="body", max_tokens=9),
    )
    rows = [{"title": "green tea leaf shoe", "tags": ["running", "tea", "tea"], "body": "shoe shoe"}]
    _, content = built(tmp_path, rows, model=decoder, fields=fields, regime="full")
    words = [WORDS[token] for token in content.of(np.array([0]))["tokens_T"]]
    assert words == ["[UNK]", "green", "tea", "[UNK]", "[UNK]", "[UNK]", "shoe", "shoe"]


def test_a_model_gets_the_special_tokens_it_was_trained_with(tmp_path):
    _, content = built(tmp_path, titled("green tea"), model=minilm(), regime="full")
    tokens = load_tokenizer(TextConfig(model=minilm(), fields=TITLE)).convert_ids_to_tokens(content.tokens_T)
    assert tokens == ["[CLS]", "green", "tea", "[SEP]"]


def test_what_cannot_be_encoded_is_refused(tmp_path, decoder):
    items = write_items(tmp_path, TITLES)
    with pytest.raises(InputError, match="absent cannot be loaded .* Give a folder with config.json"):
        write_content(items, tmp_path / "out", TextConfig(model=str(tmp_path / "absent")))
    with pytest.raises(InputError, match="602 tokens .* reads at most 512. Lower the budgets"):
        write_content(
            items, tmp_path / "out", TextConfig(model=minilm(), fields=[TextField(name="body", max_tokens=600)])
        )
    for regime in ("frozen", "lora", "full"):
        with pytest.raises(InputError, match="None of the 2 items .* choose the encoder `hashed`"):
            write_content(
                write_items(tmp_path, titled("", None)), tmp_path / "out", TextConfig(model=decoder, regime=regime)
            )


@pytest.mark.parametrize("regime", ["frozen", "full"])
def test_a_new_item_is_encoded_as_one_of_the_training_is(tmp_path, decoder, regime):
    """Also an item without text, and among others than in the training."""
    config = TextConfig(model=decoder, fields=TITLE, regime=regime)
    trained = write_content(write_items(tmp_path, TITLES), tmp_path / "trained", config).of(np.array([3, 1]))
    new = write_items(tmp_path, [TITLES[3], TITLES[1]])
    inputs = write_new_content(new, tmp_path / "new", config, tmp_path / "trained").of(np.arange(2))
    for name, values in trained.items():
        torch.testing.assert_close(inputs[name], values, rtol=0, atol=2e-3)


def test_frozen_vectors_do_not_depend_on_the_order_or_the_batch(tmp_path, decoder, monkeypatch):
    """Sorted by length in small blocks, beside one block of one batch in the order of the file."""
    rng = np.random.default_rng(0)
    rows = titled(*[" ".join(rng.choice(WORDS[:-1], rng.integers(0, 8))) for _ in range(50)])
    items = write_items(tmp_path, rows)
    whole = write_content(items, tmp_path / "whole", TextConfig(model=decoder, fields=TITLE, batch_tokens=10_000))
    monkeypatch.setattr(content, "ITEMS_PER_WINDOW", 20)
    monkeypatch.setattr(content, "ITEMS_PER_BLOCK", 6)
    blocks = write_content(items, tmp_path / "blocks", TextConfig(model=decoder, fields=TITLE, batch_tokens=16))
    expected, sorted_by_length = (of.of(np.arange(50)) for of in (whole, blocks))
    torch.testing.assert_close(sorted_by_length["vectors_MV"], expected["vectors_MV"], rtol=2e-3, atol=4e-3)
    assert torch.equal(sorted_by_length["is_present_M"], expected["is_present_M"])


def test_what_is_read_of_an_item_is_the_text_of_its_template(tmp_path):
    bodies = [{"title": "tea", "body": body, "tags": None} for body in ("leaf", "cup")]
    rows = [*bodies, {"title": "tea", "tags": ["leaf"]}]
    items = write_items(tmp_path, rows)
    assert list(readings(items, TextConfig(model="absent", fields=TITLE))) == ["tea"] * 3
    assert list(readings(items, TextConfig(model="absent")))[2] == "title: tea\ntags: leaf"
