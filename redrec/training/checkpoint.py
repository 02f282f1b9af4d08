"""Checkpoint: weights, optimizer moments and progress, from which a run resumes as if it had not stopped.

Tensors are safetensors, the rest is JSON; nothing is pickled. A checkpoint is written next to the last one and replaces
it at the end, so an interrupted write loses nothing. The files do not depend on the number of processes or the sharding
of the weights: process 0 writes the whole model.
"""

import shutil
from pathlib import Path

import torch
from pydantic import NonNegativeInt
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from redrec.atomic import replaced_folder
from redrec.config import InputError, Record
from redrec.folders import read_json, write_json
from redrec.training.recipe import Recipe

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False)
MODEL, BEST, OPTIMIZER, STATE = "model.safetensors", "best.safetensors", "optimizer.safetensors", "state.json"


class TrainingState(Record):
    """The progress of a run; `best_step` is the step with the best validation so far."""

    step: NonNegativeInt = 0
    skipped: NonNegativeInt = 0  # of these steps, since validation ended training early
    best_step: NonNegativeInt = 0
    best_score: float = float("-inf")


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainingState, recipe: Recipe
) -> None:
    """Write the state; every process calls it, process 0 writes. The best weights so far are kept, until a refresh."""
    weights, moments = whole_weights(model), _moments(model, optimizer)
    if not weights:
        return
    with replaced_folder(folder) as new:
        save_file(weights, new / MODEL)
        save_file(moments, new / OPTIMIZER)
        if progress.best_step == progress.step:
            save_file(weights, new / BEST)
        elif (folder / BEST).exists() and progress.step <= recipe.optimizer.steps:
            shutil.copy(folder / BEST, new / BEST)
        write_json(new / STATE, {**progress.model_dump(), "recipe": recipe.model_dump(mode="json")})


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe) -> TrainingState:
    """Load the state in `folder`, if there is one, and return its progress.

    Raises:
        InputError: The checkpoint was made with another recipe.
    """
    if not folder.is_dir():
        return TrainingState()
    state = read_json(folder / STATE)
    if state.pop("recipe") != recipe.model_dump(mode="json"):
        raise InputError(
            f"{folder} was made with another recipe than the one given; resuming would mix the two. "
            "Give the recipe saved in its state.json, or another output folder."
        )
    set_model_state_dict(model, load_file(folder / MODEL), options=WHOLE)
    moments = load_file(folder / OPTIMIZER)
    whole = get_optimizer_state_dict(model, optimizer, options=WHOLE)
    by_parameter: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        name, moment = key.rsplit("/", 1)
        by_parameter.setdefault(name, {})[moment] = value
    set_optimizer_state_dict(model, optimizer, {**whole, "state": by_parameter}, options=WHOLE)
    return TrainingState.model_validate(state)


def load_best(folder: Path, model: nn.Module) -> None:
    """Load only the weights of a checkpoint: the best, or the newest if the run did not validate."""
    path = folder / BEST if (folder / BEST).exists() else folder / MODEL
    set_model_state_dict(model, load_file(path), options=WHOLE)


def whole_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters by name, a shared one once; empty on processes other than 0."""
    whole = get_model_state_dict(model, options=WHOLE)
    return {name: whole[name].contiguous() for name, _ in model.named_parameters() if whole}


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's moments as `parameter/moment`; empty on processes other than 0."""
    state = get_optimizer_state_dict(model, optimizer, options=WHOLE).get("state", {})
    moments: dict[str, torch.Tensor] = {}
    for name, values in state.items():
        for moment, value in values.items():
            moments[f"{name}/{moment}"] = value.contiguous()
    return moments
