import numpy as np
import pytest
import torch

from redrec.config import InputError
from redrec.model.encoders.language_model import ITEM_TOKEN, AdapterConfig, LanguageModel, TextConfig, load_tokenizer
from redrec.model.encoders.registry import make_encoder, write_content
from redrec.model.encoders.template import TextField
from tests.model.catalogs import WORDS, encode, minilm, tiny_decoder, titled, write_items

TITLE = (TextField(name="title", max_tokens=8),)
TITLES = titled("green tea", "! running shoe leaf green", "tea", None, "shoe !")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


def built(tmp_path, rows, **changed):
    """Return an encoder and the content it reads."""
    config = TextConfig(**{"fields": TITLE, **changed})
    content = write_content(write_items(tmp_path, rows), tmp_path / config.regime, config)
    torch.manual_seed(0)
    return make_encoder(config, content, item_dim=8), content


def pooled(encoder, content, items):
    with torch.no_grad():
        return encoder.eval().language_model(**content.of(np.array(items)))


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


@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
def test_a_text_is_encoded_alike_in_any_company(tmp_path, decoder, pooling):
    encoder, content = built(tmp_path, TITLES, model=decoder, pooling=pooling, regime="full", batch_tokens=12)
    together_ME = encode(encoder, content)
    alone_ME = torch.cat([encode(encoder, content, [item]) for item in range(5)])
    torch.testing.assert_close(together_ME, alone_ME, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(encode(encoder, content, [4, 0, 1]), together_ME[[4, 0, 1]], rtol=1e-5, atol=1e-6)


def test_an_item_without_text_gets_the_learned_vector(tmp_path, decoder):
    for regime in ("frozen", "full"):
        encoder, content = built(tmp_path, TITLES, model=decoder, regime=regime)
        projection = encoder if regime == "frozen" else encoder.projection
        torch.nn.init.normal_(projection.absent_E)
        assert torch.equal(encode(encoder, content)[3], projection.absent_E)


def test_a_decoder_is_pooled_at_a_token_of_its_own_behind_the_text(tmp_path, decoder):
    encoder, content = built(tmp_path, TITLES, model=decoder, pooling="last_token", regime="full")
    item_token = len(WORDS)
    assert load_tokenizer(TextConfig(model=decoder, pooling="last_token", fields=TITLE)).vocab_size == len(WORDS)
    assert content.of(np.array([1]))["tokens_T"].tolist() == [0, 4, 5, 3, 1, item_token]

    model = encoder.language_model.model
    with torch.no_grad():
        by_hand_LV = model(input_ids=content.of(np.array([1]))["tokens_T"][None]).last_hidden_state[0]
    expected_V = torch.nn.functional.normalize(by_hand_LV[-1], dim=0)
    torch.testing.assert_close(pooled(encoder, content, [1])[0], expected_V)


def test_a_text_with_the_token_of_id_0_is_read_as_it_is(tmp_path, decoder):
    """Changing what "!" means changes the two texts that hold it, and its position matters."""
    encoder, content = built(
        tmp_path, titled("! tea", "tea !", "tea"), model=decoder, pooling="last_token", regime="full"
    )
    before_MV = pooled(encoder, content, range(3))
    assert not torch.allclose(before_MV[0], before_MV[1])
    with torch.no_grad():
        encoder.language_model.model.get_input_embeddings().weight[0] += 1.0
    is_same_M = [torch.allclose(a, b) for a, b in zip(before_MV, pooled(encoder, content, range(3)), strict=True)]
    assert is_same_M == [False, False, True]


def learning_weights(encoder):
    return {name: value for name, value in encoder.named_parameters() if value.requires_grad}


def test_lora_trains_adapters_and_projection_and_leaves_the_model_as_it_was(tmp_path, decoder):
    encoder, content = built(tmp_path, TITLES, model=decoder, regime="lora")
    base = {name: value.clone() for name, value in encoder.named_parameters() if not value.requires_grad}
    before_ME = encode(encoder, content)
    optimizer = torch.optim.Adam(learning_weights(encoder).values(), lr=0.01)
    for _ in range(2):
        encoder.train()(**content.of(np.arange(5))).square().sum().backward()
        optimizer.step()

    assert all("lora_" in name or "projection." in name for name in learning_weights(encoder))
    assert all(value.grad is not None for value in learning_weights(encoder).values())
    assert all(torch.equal(encoder.get_parameter(name), value) for name, value in base.items())
    assert not torch.allclose(encode(encoder, content), before_ME)


def test_lora_trains_the_item_token_which_is_new_to_the_model(tmp_path, decoder):
    encoder, content = built(tmp_path, TITLES, model=decoder, pooling="last_token", regime="lora")
    encoder.train()(**content.of(np.arange(5))).square().sum().backward()
    (token_1V,) = [value for name, value in learning_weights(encoder).items() if "trainable_tokens" in name]
    assert token_1V.shape == (1, 16)
    assert token_1V.grad.abs().max() > 0


def test_adapters_are_added_to_the_configured_targets(tmp_path, decoder):
    adapters = AdapterConfig(rank=2, targets=("q_proj",))
    encoder, _ = built(tmp_path, TITLES, model=decoder, regime="lora", adapters=adapters)
    names = [name for name, _ in encoder.named_parameters() if "lora_" in name]
    assert len(names) == 4  # two layers, two matrices
    assert all("q_proj" in name for name in names)


def test_every_weight_learns_in_full_and_recomputing_gives_the_same_gradient(tmp_path, decoder):
    """A weight without a gradient would stop training in several processes."""
    gradients = []
    for is_recomputed in (False, True):
        encoder, content = built(tmp_path, TITLES, model=decoder, regime="full", activation_checkpointing=is_recomputed)
        encoder.train()(**content.of(np.arange(5))).square().sum().backward()
        gradients.append([value.grad for value in encoder.parameters()])
    assert all(gradient is not None for gradient in gradients[0])
    torch.testing.assert_close(*gradients)


def test_every_weight_of_an_encoder_learns_in_full(tmp_path):
    encoder, content = built(tmp_path, TITLES, model=minilm(), regime="full")
    encoder.train()(**content.of(np.arange(5))).square().sum().backward()
    assert [name for name, value in encoder.named_parameters() if value.grad is None] == []


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


def test_random_init_has_the_shape_and_not_the_weights(decoder):
    trained, drawn = (LanguageModel(TextConfig(model=decoder, random_init=is_random)) for is_random in (False, True))
    for (name, a), (other, b) in zip(trained.named_parameters(), drawn.named_parameters(), strict=True):
        assert (name, a.shape) == (other, b.shape)
    assert not torch.equal(trained.model.get_input_embeddings().weight, drawn.model.get_input_embeddings().weight)


def test_what_cannot_be_encoded_is_refused(tmp_path, decoder):
    items = write_items(tmp_path, TITLES)
    with pytest.raises(InputError, match="absent cannot be loaded .* Give a folder with config.json"):
        write_content(items, tmp_path / "out", TextConfig(model=str(tmp_path / "absent")))
    with pytest.raises(InputError, match="602 tokens .* reads 512. Lower the budgets"):
        write_content(
            items, tmp_path / "out", TextConfig(model=minilm(), fields=[TextField(name="body", max_tokens=600)])
        )
    with pytest.raises(InputError, match="no vector for any of the 1 items"):
        write_content(write_items(tmp_path, titled("")), tmp_path / "out", TextConfig(model=decoder))


def test_the_item_token_is_new_to_the_vocabulary(decoder):
    assert ITEM_TOKEN not in load_tokenizer(TextConfig(model=decoder)).get_vocab()
