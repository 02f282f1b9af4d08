"""Trainer: data folder and recipe in, checkpoint and exported towers out.

After the last step the boosts and the ranker are fitted on the validation split, if there is one, with the best towers.
Then a refresh trains the towers for a few more steps on all events before the test, the validation split too. The more
popularity is of the moment (`redrec.evaluation.popularity_share`), the more of its rows are cut in that split alone.

A stopped run resumes from its last checkpoint and ends with the same weights, since the batch and the dropout of a
step depend on (seed, step) alone. Under torchrun several processes share every step (`redrec.training.distributed`).
Process 0 logs the progress.
"""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from redrec.atomic import settle
from redrec.config import InputError, load_config
from redrec.data.histories import TRAIN, VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.repeats import rarely_repeats
from redrec.data.split import read_vocabulary
from redrec.evaluation.popularity_share import popularity_prior, popularity_shares
from redrec.evaluation.scorers import Scorer
from redrec.evaluation.validation import Validation
from redrec.folders import DataFolder, ModelFolder, read_json, write_json
from redrec.hashing import file_hash
from redrec.history import Vocabulary
from redrec.model.boosts import BoostWeights
from redrec.model.item_tower import ItemContent, write_item_content
from redrec.model.manifest import ModelManifest
from redrec.prefetch import prefetch
from redrec.training import checkpoint
from redrec.training.batches import Batch, Batches, Shard
from redrec.training.changes import write_known_items
from redrec.training.clock import Clock
from redrec.training.distributed import device, processes, spread, total
from redrec.training.export import export_towers, live_scorer
from redrec.training.fits import fit_on_validation, has_validation
from redrec.training.optimizer import make_optimizer, num_refresh_steps, schedule
from redrec.training.recipe import Recipe
from redrec.training.towers import Towers

logger = logging.getLogger(__name__)

STEPS_PER_LINE = 50
STEPS_PER_CHECKPOINT = 200


def train(data: Path, out: Path, recipe: Recipe, stop_after: int | None = None) -> dict[str, float]:
    """Train the towers on a data folder, export them into `out/export`, and return the final figures.

    Args:
        data: Folder made by `redrec.data.prepare`.
        out: Folder for recipe, checkpoint and export; training resumes from a checkpoint in it.
        recipe: All choices of the run.
        stop_after: Stop at this step, as an interruption would, without an export.

    Raises:
        InputError: No user has two training events, the recipe validates and the data has no validation events, or
            the checkpoint in `out` is of another recipe.
        ArithmeticError: A loss is not finite; the batch is then in `out/failed_step_<process>.npz`.
    """
    with processes() as shard:
        return TrainingRun(data, out, recipe, shard).train(stop_after)


def load_towers(model: Path, vocabulary: Vocabulary) -> Towers:
    """Return the trained towers of a model folder in evaluation mode: the best in validation, else the last."""
    folder = ModelFolder(model)
    recipe = load_config(Recipe, folder.recipe)
    towers = Towers(recipe, vocabulary, ItemContent(folder.content, recipe.item_tower))
    checkpoint.load_best(folder.checkpoint, towers)
    return towers.eval()


class TrainingRun:
    """One training run of one process: its data, its towers and its state."""

    def __init__(self, data: Path, out: Path, recipe: Recipe, shard: Shard) -> None:
        self.data, self.folder, self.shard = DataFolder(data), ModelFolder(out), shard
        self.vocabulary, self.histories = read_vocabulary(data), Histories(data)
        num_users = int((self.histories.num_train_U >= 2).sum())
        self.recipe = recipe = recipe.resolved(num_users, self.histories.has_cutoff)
        self.is_first = shard.rank == 0
        out.mkdir(parents=True, exist_ok=True)
        if self.is_first:
            write_json(self.folder.recipe, recipe.model_dump(mode="json"))
            write_item_content(self.data.items, self.folder.content, recipe.item_tower)
            settle(self.folder.checkpoint)
        total(0)  # the other processes wait for the first
        self.content = ItemContent(self.folder.content, recipe.item_tower)
        self.share_S: NDArray[np.floating] = np.zeros(len(self.vocabulary.scenarios))
        if recipe.boosts.is_fitted:
            self.share_S = popularity_shares(data, recipe.evaluation)
        self.excludes_seen_S = rarely_repeats(self.histories, len(self.vocabulary.scenarios)).tolist()
        self.batches = self._batches()
        torch.manual_seed(recipe.seed)
        self.towers = Towers(recipe, self.vocabulary, self.content).to(device())
        if recipe.compute.compile_backend:
            self.towers.users.compile(backend=recipe.compute.compile_backend, dynamic=True)
        self.model = spread(self.towers, shard, recipe.compute)
        self.optimizer = make_optimizer(self.towers, recipe.optimizer)
        self.progress = checkpoint.restore(self.folder.checkpoint, self.towers, self.optimizer, recipe)
        self.validation = (
            Validation(
                data,
                self.vocabulary,
                recipe.validation,
                recipe.evaluation,
                self.share_S,
                self.excludes_seen_S,
                recipe.seed,
            )
            if recipe.validation.steps_between
            else None
        )

    def _batches(self, new_share: float | None = None) -> Batches:
        allowed_SN = is_allowed(self.data.items, self.vocabulary.scenarios)
        until = TRAIN if new_share is None else VALIDATION
        counts_SN = train_counts(self.histories, len(self.content), len(self.vocabulary.scenarios), until)
        recipe = self.recipe
        batches = Batches(
            self.histories,
            counts_SN,
            allowed_SN,
            popularity_prior(counts_SN, self.share_S, allowed_SN),
            self.excludes_seen_S,
            recipe.batch,
            recipe.history,
            recipe.loss.max_full_catalog,
            recipe.seed,
            new_share,
        )
        if not len(batches.users):
            raise InputError(
                f"None of {len(self.histories):,} users has two training events, so there is no target to learn. "
                "Give a longer event log, or a smaller data.test_share."
            )
        return batches

    def train(self, stop_after: int | None) -> dict[str, float]:
        num_steps = self.recipe.optimizer.steps
        last = num_steps + (num_refresh_steps(self.recipe.optimizer) if has_validation(self.histories) else 0)
        stop = min(last, stop_after or last)
        watched = self._train_until(min(stop, num_steps), self.batches)
        if self.progress.step < num_steps:
            return watched
        boosts = self._boosts()
        if self.progress.step < stop:
            watched = self._train_until(stop, self._batches(new_share=float(self.share_S.mean())))
        if self.progress.step == last:
            self._export(watched, boosts)
        return watched

    def _train_until(self, last: int, batches: Batches) -> dict[str, float]:
        """Train up to a step, or until validation says that it is enough: the other steps then count as done."""
        watched, clock = {"loss": math.nan}, Clock(self.progress.step, last, self.recipe)
        self.towers.train()
        for micro_batches in self._drawn(batches, self.progress.step, last):
            watched = self._step(self.progress.step, micro_batches)
            step = self.progress.step + 1
            self.progress = self.progress.model_copy(update={"step": step})
            clock.tick(step)
            if self.is_first and (step % STEPS_PER_LINE == 0 or step == last):
                logger.info(clock.line(step, watched))
            is_over = self._validate(step)
            is_saved = step % STEPS_PER_CHECKPOINT == 0 or step == last or is_over or self.progress.best_step == step
            if is_over:
                self.progress = self.progress.model_copy(update={"step": last, "skipped": last - step})
            if is_saved:
                checkpoint.save(self.folder.checkpoint, self.towers, self.optimizer, self.progress, self.recipe)
            if is_over:
                break
        return watched

    def _boosts(self) -> tuple[BoostWeights, ...]:
        """Return the weights of the boosts, fitted with the towers before a refresh; the ranker is fitted too."""
        if self.progress.step > self.recipe.optimizer.steps:
            return self._stored_boosts()
        total(0)  # the first has written the checkpoint
        checkpoint.load_best(self.folder.checkpoint, self.towers)
        if served := self._served():
            boosts, ranker = fit_on_validation(*served, self.data.path, self.recipe, self.excludes_seen_S)
            ranker.save(self.folder.ranker)
            write_json(self.folder.boosts, [weights.model_dump() for weights in boosts])
        total(0)  # the other processes wait for the first
        return self._stored_boosts()

    def _stored_boosts(self) -> tuple[BoostWeights, ...]:
        return tuple(BoostWeights.model_validate(weights) for weights in read_json(self.folder.boosts))

    def _served(self) -> tuple[Scorer, float] | None:
        """Return the towers as they are now and their logit scale, on process 0; every process calls it."""
        towers, is_alone = self.towers, self.shard.num_processes == 1
        weights = {} if is_alone else checkpoint.whole_weights(self.towers)
        if not self.is_first:
            return None
        if not is_alone:
            towers = Towers(self.recipe, self.vocabulary, self.content).to(device())
            towers.load_state_dict(weights, strict=False)
        scratch = self.folder.validation(self.shard.rank)
        return live_scorer(towers, self.content, self.recipe.history, scratch), towers.logit_scale().item()

    def _drawn(self, batches: Batches, first: int, last: int) -> Iterator[list[Batch]]:
        """Return the micro-batches of steps `first` .. `last` - 1; the next step is drawn during the current one."""
        return prefetch(self._micro_batches(batches, step) for step in range(first, last))

    def _micro_batches(self, batches: Batches, step: int) -> list[Batch]:
        num_micro_batches = self.recipe.optimizer.num_accumulated
        shards = [
            self.shard._replace(micro_batch=index, num_micro_batches=num_micro_batches)
            for index in range(num_micro_batches)
        ]
        return [batches.draw(step, shard) for shard in shards]

    def _step(self, step: int, micro_batches: list[Batch]) -> dict[str, float]:
        """Train one step and return the means to watch, such as the loss, over all processes."""
        torch.manual_seed((self.recipe.seed * 1_000_003 + step) * 1_009 + self.shard.rank)
        num_targets = total(sum(float(batch.is_target_BCW.sum()) for batch in micro_batches))
        num_groups = total(sum(float(batch.is_target_BCW[..., 0].sum()) for batch in micro_batches))
        sums = {"loss": 0.0, "top1": 0.0, "cosine": 0.0}
        self.optimizer.zero_grad(set_to_none=True)
        for batch in micro_batches:
            loss, watched = self.model(batch, self.content.of(batch.items_M))
            (loss * (self.shard.num_processes / num_targets)).backward()
            for name, value in {"loss": loss, **watched}.items():
                sums[name] += value.item()
        sums = {name: total(value) / (num_groups if name == "cosine" else num_targets) for name, value in sums.items()}
        if not math.isfinite(sums["loss"]):
            self._keep(step, micro_batches, sums["loss"])
        share = schedule(step, self.recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        nn.utils.clip_grad_norm_(self.towers.parameters(), self.recipe.optimizer.max_gradient_norm)
        self.optimizer.step()
        return sums

    def _keep(self, step: int, micro_batches: list[Batch], loss: float) -> None:
        """Save the batch with the loss that is not finite, and stop."""
        path = self.folder.failed_batch(self.shard.rank)
        arrays: dict[str, np.ndarray] = {}
        for index, batch in enumerate(micro_batches):
            for name, values in {**batch._asdict(), **batch.events._asdict()}.items():
                if isinstance(values, np.ndarray):
                    arrays[f"{index}/{name}"] = values
        np.savez(path, **arrays)  # type: ignore[arg-type]
        raise ArithmeticError(
            f"The loss of step {step} is {loss}. Its batch is in {path}. Lower optimizer.learning_rate, "
            "or check the item vectors for values that are not finite."
        )

    def _validate(self, step: int) -> bool:
        """Validate if it is due or the last step, record the best step, and return whether to stop early."""
        config, is_last = self.recipe.validation, step == self.recipe.optimizer.steps
        if self.validation is None or not config.steps_between or step > self.recipe.optimizer.steps:
            return False
        if step % config.steps_between and not is_last:
            return False
        served = self._served()
        score = total(self.validation.score(*served) if served else 0)
        self.towers.train()
        if score > self.progress.best_score:
            self.progress = self.progress.model_copy(update={"best_step": step, "best_score": score})
        if self.is_first:
            logger.info(
                f"step {step:6d} | validation {config.metric} {score:.4f} | best {self.progress.best_score:.4f}"
            )
        return step - self.progress.best_step >= config.patience * config.steps_between

    def _export(self, watched: dict[str, float], boosts: tuple[BoostWeights, ...]) -> None:
        if not self.is_first:
            return
        towers = load_towers(self.folder.path, self.vocabulary)
        export_towers(towers, self.content, len(self.vocabulary.scenarios), self.folder.path)
        write_known_items(self.data.items, self.recipe.item_tower, self.folder.item_ids)
        manifest = ModelManifest(
            vocabulary=self.vocabulary,
            items_hash=file_hash(self.data.items),
            history=self.recipe.history,
            num_interests=towers.users.num_interests,
            logit_scale=towers.logit_scale().item(),
            boosts=boosts,
            seed=self.recipe.seed,
            figures={
                "steps": self.progress.step - self.progress.skipped,
                "best_step": self.progress.best_step,
                **watched,
            },
            recipe=self.recipe.model_dump(mode="json"),
        )
        write_json(self.folder.manifest, manifest.model_dump(mode="json"))
