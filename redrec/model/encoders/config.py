"""Config of the encoders: the choices of each kind, without its code, so that a recipe is read without torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, SerializeAsAny

from redrec.config import Config, config_of_kind
from redrec.model.encoders.template import TextField


class EncoderConfig(Config):
    kind: str  # the encoder's name in the registry


class HashedConfig(EncoderConfig):
    kind: Literal["hashed"] = "hashed"
    fields: tuple[Literal["title", "body", "tags", "category", "item_id"], ...] = ("title", "body", "tags", "category")
    num_buckets: PositiveInt = 2**16
    max_tokens: PositiveInt = 64


class VectorsConfig(EncoderConfig):
    kind: Literal["vectors"] = "vectors"
    path: Path  # Parquet with `item_id` and `column`; or .npy, one row per item
    column: str = "vector"
    ids: Path | None = None  # item ids of a .npy file's rows, one per line; absent: its rows are those of items.parquet
    max_absent_share: float = Field(default=0.05, ge=0, le=1)  # of the catalog
    dropout: float = Field(default=0.0, ge=0, lt=1)


class AdapterConfig(Config):
    """LoRA (arXiv:2106.09685), for the regime `lora`."""

    rank: PositiveInt = 16
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"  # or the ends of module names


class TextConfig(EncoderConfig):
    kind: Literal["text"] = "text"
    model: str  # folder or hub name
    regime: Literal["frozen", "lora", "full"] = "frozen"
    pooling: Literal["mean", "cls", "last_token"] = "mean"
    fields: tuple[TextField, ...] = (
        TextField(name="title", max_tokens=48),
        TextField(name="body", max_tokens=128),
        TextField(name="tags", max_tokens=32),
        TextField(name="category", max_tokens=16),
    )
    adapters: AdapterConfig = AdapterConfig()
    random_init: bool = False  # the model's shape without its weights, for measuring speed
    # Of a batch, padding included. A CPU is as fast with 512 to 4096, and few tokens need little padding; with 16384 it
    # was half as fast. Raise it on a GPU.
    batch_tokens: PositiveInt = 1024
    activation_checkpointing: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)  # of the pooled vectors


class IdsOnlyConfig(EncoderConfig):
    kind: Literal["ids_only"] = "ids_only"


class VisionConfig(Config):
    model: str  # folder or hub name: CLIP, SigLIP, DINOv2, ViT
    root: Path  # the folder of all images; paths of the `image` column are relative to it
    max_unreadable_share: float = Field(default=0.05, ge=0, le=1)  # of the items that name an image


ENCODER_CONFIGS: dict[str, type[EncoderConfig]] = {
    "hashed": HashedConfig,
    "vectors": VectorsConfig,
    "text": TextConfig,
    "ids_only": IdsOnlyConfig,
}


def _registered(value: Any) -> EncoderConfig:
    return config_of_kind(value, ENCODER_CONFIGS)


EncoderOfKind = Annotated[SerializeAsAny[EncoderConfig], BeforeValidator(_registered)]
