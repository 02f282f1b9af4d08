"""Trainer: data folder and recipe in, checkpoint and exported towers out.

A stopped run goes on from its last checkpoint and ends on the same weights, since a batch and the dropout of a
step depend on (seed, step) alone. Progress goes to the log as whole lines.
"""

import json
import logging
import math
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch import nn

from redrec.config import InputError
from redrec.data.histories import Histories
from redrec.data.prepare import read_vocabulary
from redrec.model.history import Vocabulary
from redrec.model.item_tower import tokenize_items
from redrec.recipe import Recipe
from redrec.training import checkpoint
from redrec.training.batches import Batches, train_counts
from redrec.training.export import export_towers
from redrec.training.optimizer import make_optimizer, schedule
from redrec.training.towers import Towers

logger = logging.getLogger(__name__)

STEPS_PER_LINE = 50
STEPS_PER_CHECKPOINT = 200
NUM_UNTIMED_STEPS = 10


def train(data: Path, out: Path, recipe: Recipe, stop_after: int | None = None) -> dict[str, float]:
    """Train the towers on a data folder, export them into `out/export`, and return the final figures.

    Args:
        data: Folder made by `redrec.data.prepare`.
        out: Folder for recipe, checkpoint and export; a checkpoint in it is continued.
        recipe: All choices of the run.
        stop_after: Stop at this step, as an interruption would; nothing is exported then.

    Raises:
        InputError: No user has two training events, or the checkpoint in `out` is of another recipe.
    """
    vocabulary = read_vocabulary(data)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(recipe.model_dump_json(indent=1))
    tokens = tokenize_items(data / "items.parquet", out / "tokens", recipe.item_tower)
    batches = _batches(data, len(tokens), vocabulary, recipe)
    torch.manual_seed(recipe.seed)
    towers = Towers(recipe, vocabulary)
    optimizer = make_optimizer(towers, recipe.optimizer)
    step = checkpoint.restore(out / "checkpoint", towers, optimizer, recipe)
    last = min(recipe.optimizer.num_steps, stop_after or recipe.optimizer.num_steps)

    watched, began, first_timed = {"loss": math.nan}, time.monotonic(), step + NUM_UNTIMED_STEPS
    towers.train()
    while step < last:
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        loss, seen = towers.loss(batches[step], tokens)
        _update(towers, optimizer, loss, step, recipe)
        watched = {"loss": loss.item(), **{name: value.item() for name, value in seen.items()}}
        step += 1
        if step == first_timed:
            began = time.monotonic()
        if step % STEPS_PER_LINE == 0 or step == last:
            users_per_s = max(0, step - first_timed) * recipe.batch.num_users / max(1e-9, time.monotonic() - began)
            logger.info(_progress(step, watched, users_per_s, recipe))
        if step % STEPS_PER_CHECKPOINT == 0 or step == last:
            checkpoint.save(out / "checkpoint", towers, optimizer, step, recipe)
    if step == recipe.optimizer.num_steps:
        export_towers(towers, tokens, vocabulary, out / "export")
        (out / "training.json").write_text(json.dumps({"steps": step, **watched}, indent=1))
    return watched


def load_towers(model: Path, vocabulary: Vocabulary) -> Towers:
    """Return the trained towers of a model folder, in evaluation mode."""
    towers = Towers(Recipe.model_validate_json((model / "recipe.json").read_text()), vocabulary)
    checkpoint.load_model(model / "checkpoint", towers)
    return towers.eval()


def _batches(data: Path, num_items: int, vocabulary: Vocabulary, recipe: Recipe) -> Batches:
    assert num_items == pq.ParquetFile(data / "items.parquet").metadata.num_rows
    histories = Histories(data / "histories")
    counts_SN = train_counts(histories, num_items, len(vocabulary.scenarios))
    batches = Batches(histories, counts_SN, recipe.batch, recipe.history, recipe.seed)
    if not len(batches.users):
        raise InputError(
            f"None of {len(histories):,} users has two training events, so there is no target to learn from. "
            "Bring a longer event log, or a smaller data.test_share."
        )
    return batches


def _update(towers: Towers, optimizer: torch.optim.Optimizer, loss: torch.Tensor, step: int, recipe: Recipe) -> None:
    if not math.isfinite(loss.item()):
        raise ArithmeticError(f"The loss of step {step} is {loss.item()}. Lower optimizer.learning_rate.")
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * schedule(step, recipe.optimizer)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(towers.parameters(), recipe.optimizer.max_gradient_norm)
    optimizer.step()


def _progress(step: int, watched: dict[str, float], users_per_s: float, recipe: Recipe) -> str:
    num_steps = recipe.optimizer.num_steps
    rate = recipe.optimizer.learning_rate * schedule(step - 1, recipe.optimizer)
    eta_s = (num_steps - step) * recipe.batch.num_users / users_per_s if users_per_s else math.nan
    return (
        f"step {step:6d}/{num_steps} | loss {watched['loss']:.3f} | in-batch recall@1 {watched['top1']:.3f} | "
        f"interest cosine {watched['cosine']:.2f} | lr {rate:.1e} | "
        f"{users_per_s:.0f} users/s | eta {eta_s:.0f} s"
    )
