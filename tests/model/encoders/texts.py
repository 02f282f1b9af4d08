"""Small catalogs of texts and their encoders, for tests of texts and of language models."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from redrec.model.encoders.config import TextConfig
from redrec.model.encoders.registry import make_encoder, write_content
from redrec.model.encoders.template import TextField
from tests.model.catalogs import titled, write_items

TITLE = (TextField(name="title", max_tokens=8),)
TITLES = titled("green tea", "! running shoe leaf green", "tea", None, "shoe !")


def built(tmp_path: Path, rows: list[dict[str, Any]], **changed: object) -> tuple[torch.nn.Module, Any]:
    """Return an encoder and the content it reads."""
    config = TextConfig(**{"fields": TITLE, **changed})
    content = write_content(write_items(tmp_path, rows), tmp_path / config.regime, config)
    torch.manual_seed(0)
    return make_encoder(config, content, item_dim=8), content


def pooled(encoder: torch.nn.Module, content: Any, items: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return encoder.eval().language_model(**content.of(np.array(items)))


def learning_weights(encoder: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in encoder.named_parameters() if value.requires_grad}
