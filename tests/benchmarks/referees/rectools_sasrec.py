"""RecTools' SASRec, trained to its best epoch, and its vectors of the cases. Runs in its own environment.

A score is RecTools' own, the dot product of the last hidden state and an item's vector. One more axis marks unknown
items: 1 in each user, 0 in an item of the training events, `UNKNOWN` in the others, which therefore rank last. A case
without a known event is 0 on all other axes: for it all known items have the same score.

Validation is ours: the NDCG@10 of each user's first validation event over all known items. RecTools' own computes the
whole catalog's logits at every position of a history and uses only the last.

Shapes: B users, L events, C cases, K of them known, N items of the catalog, M of them known, D width.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.lightning import TransformerLightningModule

UNKNOWN = -1e6  # far below any dot product; adding 0 to the other scores changes nothing
METRIC = "ndcg@10"


class ValidatedSasrec(TransformerLightningModule):
    def validation_step(self, batch, batch_idx):
        users_BD = self.torch_model.encode_sessions(batch, self.item_embs)[:, -1]
        scores_BM = users_BD @ self.item_embs.T
        scores_BM[:, 0] = -torch.inf  # padding
        rank_B = (scores_BM > scores_BM.gather(1, batch["y"])).sum(1)
        ndcg_B = torch.where(rank_B < 10, 1 / torch.log2(rank_B + 2), 0)
        self.log(METRIC, ndcg_B.mean(), on_step=False, on_epoch=True, batch_size=len(ndcg_B))


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


def main(folder):
    config = json.loads((folder / "config.json").read_text())
    torch.set_num_threads(config["num_threads"])
    seed_everything(config["seed"])
    train = pd.read_parquet(folder / "train.parquet")
    valid = pd.read_parquet(folder / "valid.parquet") if (folder / "valid.parquet").exists() else None

    model = fitted(config, train, valid, folder / "checkpoints")
    epochs = model.fit_trainer.callbacks[0].epochs  # of the copy of the stopwatch that RecTools makes
    best_epoch = len(epochs) - 1 if valid is None else best_weights(model)
    (folder / "training.json").write_text(json.dumps({"epochs": epochs, "best_epoch": best_epoch}))

    if (folder / "cases.parquet").exists():
        histories = pd.read_parquet(folder / "cases.parquet")["history"]
        users_CD, items_ND = vectors(model, histories, config["num_items"])
        np.save(folder / "users.npy", users_CD)
        np.save(folder / "items.npy", items_ND)


def fitted(config, train, valid, checkpoints):
    events = train if valid is None else pd.concat([train, valid], ignore_index=True)
    model = SASRecModel(
        n_factors=config["width"],
        n_blocks=config["num_layers"],
        n_heads=config["num_heads"],
        session_max_len=config["length"],
        dropout_rate=config["dropout"],
        loss=config["loss"],
        n_negatives=config["num_negatives"],
        batch_size=config["batch_size"],
        lr=config["learning_rate"],
        lightning_module_type=ValidatedSasrec,
        get_val_mask_func=None if valid is None else mask_after(len(train)),
    )
    model._trainer = trainer(config, None if valid is None else checkpoints)
    model.fit(dataset(events["user"], events["item"], events["timestamp_ms"]))
    return model


def mask_after(num_train):
    """Return the function that marks all rows after the training events as validation."""

    def is_validation(rows):
        return np.arange(len(rows)) >= num_train

    return is_validation


def best_weights(model):
    """Load the weights of the best epoch, and return its number."""
    checkpoint = model.fit_trainer.checkpoint_callback.best_model_path
    model.load_weights_from_checkpoint(checkpoint)
    return torch.load(checkpoint, weights_only=False)["epoch"]  # our own file; RecTools puts arrays in it


def trainer(config, checkpoints):
    """Return a trainer that stops early and keeps the best weights, or without `checkpoints` keeps the last."""
    callbacks = [Stopwatch()]
    if checkpoints is not None:
        callbacks += [
            EarlyStopping(METRIC, mode="max", patience=config["patience"], verbose=True),
            ModelCheckpoint(checkpoints, monitor=METRIC, mode="max", save_weights_only=True),
        ]
    return Trainer(
        accelerator="cpu",
        max_epochs=config["max_epochs"],
        limit_train_batches=config["max_batches"] or 1.0,
        callbacks=callbacks,
        enable_checkpointing=checkpoints is not None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def dataset(users, items, timestamps_ms):
    columns = {
        Columns.User: users,
        Columns.Item: items,
        Columns.Weight: 1.0,
        Columns.Datetime: pd.to_datetime(timestamps_ms, unit="ms"),
    }
    return Dataset.construct(pd.DataFrame(columns))


def vectors(model, histories, num_items):
    """Return `users_CD` and `items_ND`, computed as in `SASRecModel.recommend` with each case as a user."""
    cases = np.arange(len(histories)).repeat(histories.str.len())
    events = dataset(cases, np.concatenate(histories), np.arange(len(cases)))
    known = model.data_preparator.transform_dataset_u2i(events, np.unique(cases))
    batches = model.data_preparator.get_dataloader_recommend(known, model.recommend_batch_size)
    users_KD, items_MD = model.lightning_model._get_user_item_embeddings(batches, "cpu")

    users_CD = np.zeros((len(histories), items_MD.shape[1] + 1), np.float32)
    users_CD[known.user_id_map.get_external_sorted_by_internal(), :-1] = users_KD
    users_CD[:, -1] = 1

    known_M = model.data_preparator.get_known_item_ids().astype(int)  # objects, because of padding
    items_ND = np.zeros((num_items, users_CD.shape[1]), np.float32)
    items_ND[:, -1] = UNKNOWN
    items_ND[known_M, :-1] = items_MD[-len(known_M) :]  # padding's row is the first
    items_ND[known_M, -1] = 0
    return users_CD, items_ND


if __name__ == "__main__":
    main(Path(sys.argv[1]))
