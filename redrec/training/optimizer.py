"""Optimizer: AdamW with a linear warm-up and a cosine decay to zero."""

import math

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from redrec.config import Config


class OptimizerConfig(Config):
    num_steps: PositiveInt = 600
    learning_rate: PositiveFloat = 3e-3
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    max_gradient_norm: PositiveFloat = 1.0


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW over all parameters; biases, norms and embeddings are not decayed."""
    decayed = [p for name, p in model.named_parameters() if _is_decayed(name, p)]
    others = [p for name, p in model.named_parameters() if not _is_decayed(name, p)]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _is_decayed(name: str, parameter: nn.Parameter) -> bool:
    is_table = any(part in name for part in ("bags", "action", "scenario", "hour", "gap", "position", "bias"))
    return parameter.ndim >= 2 and not is_table


def learning_rate(step: int, config: OptimizerConfig) -> float:
    """Return the rate of a step.

    >>> config = OptimizerConfig(num_steps=100, learning_rate=1.0, warmup_share=0.1)
    >>> [round(learning_rate(step, config), 3) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    num_warmup = int(config.warmup_share * config.num_steps)
    if step < num_warmup:
        return config.learning_rate * (step + 1) / num_warmup
    progress = (step - num_warmup) / (config.num_steps - num_warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
