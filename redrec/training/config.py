"""Config of the training: the choices of optimizer and devices, apart from their code: a recipe is read without torch.

A log of more users needs more steps. Unless a recipe says how many, a run takes those of `NUM_PASSES` over its users,
but at least `MIN_STEPS`, and at most `MAX_STEPS`, which bounds its time: some 15 CPU minutes at the default sizes. It
takes twice as many where the split has no cutoff but leaves last events out: a cut then has one target
(`redrec.training.batches`), and what is learned has no time to pass.
"""

import math
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from redrec.config import Config

NUM_PASSES, MIN_STEPS, MAX_STEPS = 5, 400, 4800
NO_CUTOFF_FACTOR = 2


class OptimizerConfig(Config):
    num_steps: PositiveInt | None = None  # absent: by the number of users and the split
    learning_rate: PositiveFloat = 2e-3
    table_learning_rate: PositiveFloat = 2e-2
    language_model_learning_rate: PositiveFloat = 1e-5  # as in the public release; adapters can use ten times as much
    schedule: Literal["cosine", "warmup_stable_anneal"] = "cosine"
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    anneal_share: float = Field(default=0.2, gt=0, le=1)  # the last share of the steps, for warmup_stable_anneal
    refresh_share: float = Field(default=0.2, ge=0, lt=1)  # further steps, on the validation split too
    weight_decay: float = Field(default=0.01, ge=0)
    table_weight_decay: float = Field(default=2.0, ge=0)
    max_gradient_norm: PositiveFloat = 1.0
    num_accumulated: PositiveInt = 1  # micro-batches of a step, to save memory

    @property
    def steps(self) -> int:
        """Return the number of steps before a refresh, once it is known (`for_users`)."""
        assert self.num_steps is not None
        return self.num_steps

    def for_users(self, num_users: int, users_per_step: int, has_cutoff: bool) -> Self:
        """Return the configuration with its number of steps.

        >>> [OptimizerConfig().for_users(num_users, 64, True).steps for num_users in (1000, 30_000, 1_000_000)]
        [400, 2344, 4800]
        >>> OptimizerConfig().for_users(30_000, 64, False).steps
        4688
        >>> OptimizerConfig(num_steps=9).for_users(1000, 64, True).steps
        9
        """
        num_steps = min(MAX_STEPS, max(MIN_STEPS, math.ceil(NUM_PASSES * num_users / users_per_step)))
        factor = 1 if has_cutoff else NO_CUTOFF_FACTOR
        return self.model_copy(update={"num_steps": self.num_steps or factor * num_steps})


class ComputeConfig(Config):
    precision: Literal["float32", "bfloat16"] = "float32"
    compile_backend: str | None = None  # of torch.compile for the user tower, such as "inductor": for long runs
    sharding: Literal["replicated", "sharded"] = "replicated"  # of the weights over processes: DDP or FSDP
