"""Language models: a text is pooled the same way in every batch, and the regime decides which weights learn."""

import numpy as np
import pytest
import torch

from redrec.model.encoders.config import AdapterConfig, TextConfig
from redrec.model.encoders.language_model import ITEM_TOKEN, LanguageModel, load_tokenizer, token_batches
from tests.model.catalogs import WORDS, encode, minilm, tiny_decoder, titled
from tests.model.encoders.texts import TITLE, TITLES, built, learning_weights, pooled


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
def test_a_text_is_encoded_alike_in_any_company(tmp_path, decoder, pooling):
    encoder, content = built(tmp_path, TITLES, model=decoder, pooling=pooling, regime="full", batch_tokens=12)
    together_ME = encode(encoder, content)
    alone_ME = torch.cat([encode(encoder, content, [item]) for item in range(5)])
    torch.testing.assert_close(together_ME, alone_ME, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(encode(encoder, content, [4, 0, 1]), together_ME[[4, 0, 1]], rtol=1e-5, atol=1e-6)


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


def test_random_init_has_the_shape_and_not_the_weights(decoder):
    trained, drawn = (LanguageModel(TextConfig(model=decoder, random_init=is_random)) for is_random in (False, True))
    for (name, a), (other, b) in zip(trained.named_parameters(), drawn.named_parameters(), strict=True):
        assert (name, a.shape) == (other, b.shape)
    assert not torch.equal(trained.model.get_input_embeddings().weight, drawn.model.get_input_embeddings().weight)


def test_the_item_token_is_new_to_the_vocabulary(decoder):
    assert ITEM_TOKEN not in load_tokenizer(TextConfig(model=decoder)).get_vocab()


@pytest.mark.parametrize("seed", range(5))
def test_every_text_is_in_one_batch_of_bounded_tokens_padding_included(seed):
    rng = np.random.default_rng(seed)
    lengths, batch_tokens = sorted(rng.integers(0, 60, 200).tolist(), reverse=True), int(rng.integers(1, 300))
    batches = list(token_batches(lengths, batch_tokens))
    rows = [row for start, stop in batches for row in range(start, stop)]
    assert rows == list(range(len(lengths) - lengths.count(0)))
    for start, stop in batches:
        assert (stop - start) * lengths[start] <= batch_tokens or stop - start == 1
