"""Optimizer: AdamW with a linear warm-up, then a cosine decay or a plateau that is annealed at its end.

A step uses few rows of a table (hashed words, item ids), so tables have a learning rate of their own: at the
transformer's rate, the row of a rare word or item would hardly change from its random initial value. They also have far
more decay: the row of a rare item shrinks to zero, and the item is described by what it shares with others. A
pretrained language model has its own rate too, since the other rates would ruin its weights.

A log of more users needs more steps. Unless a recipe says how many, a run takes those of `NUM_PASSES` over its users,
but at least `MIN_STEPS`, and at most `MAX_STEPS`, which bounds its time: some 15 CPU minutes at the default sizes.
"""

import math
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from redrec.config import Config
from redrec.model.parameter_groups import LANGUAGE_MODEL, MATRIX, TABLE, UNDECAYED

NUM_PASSES, MIN_STEPS, MAX_STEPS = 5, 400, 2400
REFRESH_RATE = 0.3  # of the peak, at its first step


class OptimizerConfig(Config):
    num_steps: PositiveInt | None = None  # absent: by the number of users
    learning_rate: PositiveFloat = 2e-3
    table_learning_rate: PositiveFloat = 2e-2
    language_model_learning_rate: PositiveFloat = 1e-5  # as in the public release; adapters can use ten times as much
    schedule: Literal["cosine", "warmup_stable_anneal"] = "cosine"
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    anneal_share: float = Field(default=0.2, gt=0, le=1)  # the last share of the steps, for warmup_stable_anneal
    refresh_share: float = Field(default=0.1, ge=0, lt=1)  # further steps, on the validation split too
    weight_decay: float = Field(default=0.01, ge=0)
    table_weight_decay: float = Field(default=2.0, ge=0)
    max_gradient_norm: PositiveFloat = 1.0
    num_accumulated: PositiveInt = 1  # micro-batches of a step, to save memory

    @property
    def steps(self) -> int:
        """Return the number of steps before a refresh, once it is known (`for_users`)."""
        assert self.num_steps is not None
        return self.num_steps

    def for_users(self, num_users: int, users_per_step: int) -> Self:
        """Return the configuration with its number of steps.

        >>> [OptimizerConfig().for_users(num_users, 128).steps for num_users in (1000, 30_000, 1_000_000)]
        [400, 1172, 2400]
        >>> OptimizerConfig(num_steps=9).for_users(1000, 128).steps
        9
        """
        num_steps = min(MAX_STEPS, max(MIN_STEPS, math.ceil(NUM_PASSES * num_users / users_per_step)))
        return self.model_copy(update={"num_steps": self.num_steps or num_steps})


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW for the parameters that learn; biases, norms and small embeddings have no decay.

    A group's `peak` is its learning rate before warm-up and decay.
    """
    rate, decay = config.learning_rate, config.weight_decay
    groups: dict[str, dict[str, Any]] = {
        TABLE: {"peak": config.table_learning_rate, "weight_decay": config.table_weight_decay},
        LANGUAGE_MODEL: {"peak": config.language_model_learning_rate, "weight_decay": decay},
        MATRIX: {"peak": rate, "weight_decay": decay},
        UNDECAYED: {"peak": rate, "weight_decay": 0.0},
    }
    group_of = parameter_groups(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[group_of[parameter]].setdefault("params", []).append(parameter)
    return torch.optim.AdamW([group for group in groups.values() if "params" in group], betas=(0.9, 0.98), fused=True)


def parameter_groups(model: nn.Module, inherited: str | None = None) -> dict[nn.Parameter, str]:
    """Return each parameter's group: that of the nearest enclosing module with a `parameter_group`.

    Without such a module, a parameter of two axes is a matrix, and any other has no decay. A shared parameter has the
    group of the first module that contains it.
    """
    own = getattr(model, "parameter_group", inherited)
    groups: dict[nn.Parameter, str] = {}
    for parameter in model.parameters(recurse=False):
        groups[parameter] = own or (MATRIX if parameter.ndim == 2 else UNDECAYED)
    for module in model.children():
        groups = parameter_groups(module, own) | groups
    return groups


def num_refresh_steps(config: OptimizerConfig) -> int:
    return round(config.refresh_share * config.steps)


def schedule(step: int, config: OptimizerConfig) -> float:
    """Return the share of the peak learning rate at a step; that of a refresh, after all others, falls to zero again.

    >>> config = OptimizerConfig(num_steps=100, warmup_share=0.1)
    >>> [round(schedule(step, config), 3) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    >>> plateau = OptimizerConfig(num_steps=100, warmup_share=0.1, schedule="warmup_stable_anneal")
    >>> [round(schedule(step, plateau), 3) for step in (0, 9, 10, 79, 80, 90, 99)]
    [0.1, 1.0, 1.0, 1.0, 1.0, 0.5, 0.05]
    """
    if step >= config.steps:
        return REFRESH_RATE * (1 - (step - config.steps) / num_refresh_steps(config))
    num_warmup = int(config.warmup_share * config.steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if config.schedule == "cosine":
        progress = (step - num_warmup) / (config.steps - num_warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (config.steps - step) / max(1, round(config.anneal_share * config.steps)))
