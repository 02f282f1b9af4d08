"""RecBole's SASRec: how fast it trains and ranks the whole catalog, not how well. Runs in its own environment.

RecBole splits the training events itself: each user's last is ranked against all items after training, the one before
is for validation, and every earlier event except the first becomes a row: a padded history and one target. So in
`training.json` rows, histories and targets are the same. It trains with cross-entropy over the whole catalog.

`evaluation.json` has one measured call of `Trainer.evaluate`, after one to warm up, for each of two batch sizes:
RecBole's default, and the number of users that gives `SCORES_PER_BATCH`.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

SCORES_PER_BATCH = 100_000_000  # 400 MB


class TimedTrainer(Trainer):
    def __init__(self, config, model, max_batches):
        super().__init__(config, model)
        self.max_batches, self.timed = max_batches, []

    def _train_epoch(self, train_data, *arguments, **options):
        wall, cpu = time.perf_counter(), time.process_time()
        loss = super()._train_epoch(islice(train_data, self.max_batches), *arguments, **options)
        batches = self.max_batches or len(train_data)
        rows = min(len(train_data._dataset), batches * train_data.step)
        self.timed.append({**seconds_since(wall, cpu), "histories": rows, "targets": rows})
        return loss


def seconds_since(wall, cpu):
    return {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def main(folder):
    config = json.loads((folder / "config.json").read_text())
    torch.set_num_threads(config["num_threads"])
    write_events(pd.read_parquet(folder / "train.parquet"), folder / "events")
    settings = Config(model="SASRec", dataset="events", config_dict=settings_of(config, folder))
    init_seed(settings["seed"], reproducibility=True)
    dataset = create_dataset(settings)
    train, _, test = data_preparation(settings, dataset)
    trainer = TimedTrainer(settings, SASRec(settings, train._dataset), config["max_batches"])
    trainer.fit(train, saved=False, verbose=False)
    training = {"epochs": trainer.timed, "best_epoch": len(trainer.timed) - 1}
    (folder / "training.json").write_text(json.dumps(training))

    sizes = settings["eval_batch_size"], SCORES_PER_BATCH // dataset.item_num
    evaluations = [evaluation(trainer, settings, test, size) for size in sizes]
    (folder / "evaluation.json").write_text(json.dumps(evaluations))


def write_events(events, folder):
    """Write RecBole's file; times become positions in a history, since it sorts by time as float32."""
    folder.mkdir(exist_ok=True)
    events = events.sort_values(["user", "timestamp_ms"], kind="stable")
    columns = {
        "user_id:token": events["user"],
        "item_id:token": events["item"],
        "timestamp:float": events.groupby("user").cumcount(),
    }
    pd.DataFrame(columns).to_csv(folder / "events.inter", sep="\t", index=False)


def settings_of(config, folder):
    return {
        "data_path": str(folder),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
        "metrics": ["Hit", "NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "train_neg_sample_args": None,  # the whole catalog is negatives
        "loss_type": "CE",
        "hidden_size": config["width"],
        "inner_size": 4 * config["width"],
        "n_layers": config["num_layers"],
        "n_heads": config["num_heads"],
        "MAX_ITEM_LIST_LENGTH": config["length"],
        "hidden_dropout_prob": config["dropout"],
        "attn_dropout_prob": config["dropout"],
        "train_batch_size": config["batch_size"],
        "learning_rate": config["learning_rate"],
        "epochs": config["max_epochs"],
        "seed": config["seed"],
        "use_gpu": False,
        "show_progress": False,
    }


def evaluation(trainer, settings, test, batch_size):
    settings["eval_batch_size"] = batch_size
    batches = FullSortEvalDataLoader(settings, test._dataset, test._sampler)
    trainer.evaluate(batches, load_best_model=False)  # warms up
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.evaluate(batches, load_best_model=False)
    sizes = {
        "batch_size": batch_size,
        "users": len(test._dataset),
        "items": test._dataset.item_num - 1,
    }  # without padding
    return sizes | seconds_since(wall, cpu)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
