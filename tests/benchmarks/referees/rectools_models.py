"""RecTools' transformers, trained to their best epoch, and their vectors of the cases. Runs in its own environment.

`sasrec` is SASRecModel, `esasrec` the same with LiGR layers, `hstu` HSTUModel. A score is RecTools' own: the product of
the last hidden state and an item's vector, both normalised if the similarity is the cosine.

Validation is ours (see `queries`): RecTools' own computes the logits of a loss, not ranks.

Shapes: as in `queries`; P targets of a batch, X candidates of a target.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from queries import BestEpoch, Queries, write_vectors
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import HSTUModel, SASRecModel
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.ligr import LiGRLayers


class WithoutPadding(TransformerLightningModule):
    """The same loss, without the logits of padding: RecTools computes them, and multiplies their loss by 0."""

    def training_step(self, batch, batch_idx):
        items_MD = self.torch_model.item_model.get_all_embeddings()
        is_target_BL = batch["y"] > 0
        users_PD = self.torch_model.encode_sessions(batch, items_MD)[is_target_BL]
        target_P = batch["y"][is_target_BL]
        candidate_PX = None
        if self._requires_negatives:
            candidate_PX = torch.cat([target_P[:, None], batch["negatives"][is_target_BL]], dim=1)
            target_P = torch.zeros_like(target_P)
        logits_PX = self.torch_model.similarity_module(users_PD, items_MD, candidate_PX) / self.logits_t
        return torch.nn.functional.cross_entropy(logits_PX, target_P)


class Stopwatch(Callback):
    """The seconds and the sizes of each epoch, from its first batch to its last, without validation."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_start(self, trainer, module):
        self.histories = self.targets = 0
        self.started = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.histories += len(batch["y"])
        self.targets += int(torch.count_nonzero(batch["y"]))
        self.ended = time.perf_counter(), time.process_time()

    def on_train_epoch_end(self, trainer, module):
        wall, cpu = (end - start for end, start in zip(self.ended, self.started, strict=True))
        self.epochs.append(
            {"wall_seconds": wall, "cpu_seconds": cpu, "histories": self.histories, "targets": self.targets}
        )


class Validation(Callback):
    """Ranks the validation queries after each epoch, and stops the training `patience` epochs after the best."""

    def __init__(self, path, config):
        self.path, self.config, self.best = path, config, BestEpoch(config["patience"])

    def on_train_start(self, trainer, module):
        self.queries = Queries(self.path, number_of(module, self.config), self.config["length"])

    def on_train_epoch_end(self, trainer, module):
        module.eval()
        with torch.no_grad():
            encode, items_MD = scoring(module)
            ndcg = self.queries.ndcg_at_10(encode, items_MD, self.config["hides_known"])
        module.train()
        trainer.should_stop = self.best.add(ndcg, module)


def main(folder):
    config = json.loads((folder / "config.json").read_text())
    torch.set_num_threads(config["num_threads"])
    seed_everything(config["seed"])

    callbacks = [Stopwatch()]
    if (folder / "valid.parquet").exists():
        callbacks.append(Validation(folder / "valid.parquet", config))
    model = model_of(config)
    model._trainer = trainer(config, callbacks)
    model.fit(dataset(pd.read_parquet(folder / "train.parquet")))
    stopwatch, *validations = model.fit_trainer.callbacks[: len(callbacks)]  # RecTools trains with copies
    training = {"epochs": stopwatch.epochs, "best_epoch": len(stopwatch.epochs) - 1}
    for validation in validations:
        model.lightning_model.load_state_dict(validation.best.weights)
        training |= {"best_epoch": validation.best.epoch, "ndcgs": validation.best.ndcgs}
    (folder / "training.json").write_text(json.dumps(training))

    if (folder / "cases.parquet").exists():
        number_of_N = number_of(model.lightning_model, config)
        cases = Queries(folder / "cases.parquet", number_of_N, config["length"])
        model.lightning_model.eval()
        with torch.no_grad():
            encode, items_MD = scoring(model.lightning_model)
            write_vectors(folder, cases, cases.users(encode).numpy(), items_MD.numpy(), number_of_N)


def model_of(config):
    kind = HSTUModel if config["model"] == "hstu" else SASRecModel
    return kind(
        n_factors=config["width"],
        n_blocks=config["num_layers"],
        n_heads=config["num_heads"],
        session_max_len=config["length"],
        dropout_rate=config["dropout"],
        loss=config["loss"],
        n_negatives=config["num_negatives"],
        batch_size=config["batch_size"],
        lr=config["learning_rate"],
        lightning_module_type=WithoutPadding if config["skips_padding"] else TransformerLightningModule,
        lightning_module_kwargs={"logits_t": config["temperature"]},
        similarity_module_kwargs={"distance": config["similarity"]},
        **kind_options(config),
    )


def kind_options(config):
    if config["model"] == "hstu":
        return {"relative_time_attention": config["has_time_bias"]}
    if config["model"] == "esasrec":
        layers = {"ff_factors_multiplier": config["feed_forward_multiplier"]}
        # As in eSASRec's own configuration; its attention has no other way to tell padding from events.
        return {
            "transformer_layers_type": LiGRLayers,
            "transformer_layers_kwargs": layers,
            "use_key_padding_mask": True,
        }
    return {}


def trainer(config, callbacks):
    return Trainer(
        accelerator="cpu",
        max_epochs=config["max_epochs"],
        limit_train_batches=config["max_batches"] or 1.0,
        callbacks=callbacks,
        enable_checkpointing=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def dataset(events):
    columns = {
        Columns.User: events["user"],
        Columns.Item: events["item"],
        Columns.Weight: 1.0,
        Columns.Datetime: pd.to_datetime(events["timestamp_ms"], unit="ms").astype("datetime64[ns]"),
    }
    return Dataset.construct(pd.DataFrame(columns))


def number_of(module, config):
    """Return RecTools' number of each catalog item, `number_of_N`; 0 if it is not in the training events."""
    external_M = module.data_preparator.item_id_map.external_ids
    number_of_N = np.zeros(config["num_items"], np.int64)
    number_of_N[external_M[1:].astype(int)] = np.arange(1, len(external_M))  # padding is the first
    return number_of_N


def scoring(module):
    """Return the function that encodes queries, and `items_MD`; a score is their dot product."""
    model = module.torch_model
    items_MD = model.item_model.get_all_embeddings()
    is_cosine = model.similarity_module.distance.value == "cosine"
    scaled = torch.nn.functional.normalize if is_cosine else torch.nn.Identity()

    def encode(item_BL, seconds_BT):
        return scaled(model.encode_sessions({"x": item_BL, "unix_ts": seconds_BT}, items_MD)[:, -1])

    return encode, scaled(items_MD)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
