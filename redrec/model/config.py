"""Config of the model: the choices of towers and loss, without their code, so that a recipe is read without torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, NonNegativeInt, PositiveInt, SerializeAsAny, model_validator

from redrec.config import Config, config_of_kind
from redrec.model.encoders.config import EncoderOfKind, HashedConfig, IdsOnlyConfig, VisionConfig

Feature = Literal["action", "scenario", "hour", "gap"]
Association = Literal["matched", "straight_through"]  # which interests a target trains, see `redrec.model.losses`


class ItemTowerConfig(Config):
    encoder: EncoderOfKind = HashedConfig()  # of kind hashed, vectors, text or ids_only
    vision: VisionConfig | None = None  # absent: images are not used
    num_id_buckets: PositiveInt | None = None  # absent: no id embedding; no collisions from the catalog's size up
    item_dim: PositiveInt = 64
    embedding_dim: PositiveInt = 64  # as in the paper

    @model_validator(mode="after")
    def _items_are_distinguishable(self) -> Self:
        if isinstance(self.encoder, IdsOnlyConfig) and self.num_id_buckets is None:
            raise ValueError("encoder.kind is ids_only and there are no ids: set num_id_buckets, or another kind")
        return self


class BackboneConfig(Config):
    kind: str  # the backbone's name in the registry


class TransformerConfig(BackboneConfig):
    kind: Literal["transformer"] = "transformer"
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    dropout: float = Field(default=0.1, ge=0, lt=1)


class DecoderConfig(BackboneConfig):
    kind: Literal["decoder"] = "decoder"
    model: str | None = None  # a hub name or a folder; absent: random weights of `architecture`
    # Fields of a Hugging Face configuration, with `model_type`.
    architecture: dict[str, JsonValue] = Field(default_factory=dict)


BACKBONE_CONFIGS: dict[str, type[BackboneConfig]] = {"transformer": TransformerConfig, "decoder": DecoderConfig}


def _registered(value: Any) -> BackboneConfig:
    return config_of_kind(value, BACKBONE_CONFIGS)


BackboneOfKind = Annotated[SerializeAsAny[BackboneConfig], BeforeValidator(_registered)]


class UserTowerConfig(Config):
    num_queries: NonNegativeInt = 1  # per scenario; the paper's three rank no better as served and take longer
    query_features: tuple[Literal["gap"], ...] = ("gap",)  # of a query, in addition to its scenario
    hidden_dim: PositiveInt = 64
    features: tuple[Feature, ...] = ("action", "scenario", "hour", "gap")  # of an event, in addition to its item
    dropout: float = Field(default=0.1, ge=0, lt=1)  # of the backbone's input
    backbone: BackboneOfKind = TransformerConfig()  # of kind transformer or decoder


class LossConfig(Config):
    association: Association = "matched"
    least_spread: float = Field(default=0.1, ge=0, lt=1)  # one minus the mean cosine of a user's interests
    max_full_catalog: int = 0  # scenarios of at most this many items use all as negatives, others a draw
