"""BSARec from a checkout of its repository, trained to its best epoch, and its vectors of the cases.

Only the model's class is used, `src/model` of the checkout. The training is that of its repository: a row per event
and the events before it, cross-entropy over all items at the last position, Adam, no decay.
Runs in its own environment.

Shapes: as in `queries`; R rows.
"""

import json
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from queries import BestEpoch, Queries, write_vectors


def main(folder):
    config = json.loads((folder / "config.json").read_text())
    torch.set_num_threads(config["num_threads"])
    torch.manual_seed(config["seed"])
    events = pd.read_parquet(folder / "train.parquet").sort_values(["user", "timestamp_ms"], kind="stable")
    item_M = np.unique(events["item"])
    number_of_N = np.zeros(config["num_items"], np.int64)
    number_of_N[item_M] = np.arange(1, len(item_M) + 1)  # 0 is padding
    model = model_of(config, 1 + len(item_M))

    def encode(item_BL, seconds_BT):
        return model(item_BL)[:, -1]

    best = None
    if (folder / "valid.parquet").exists():
        best = BestEpoch(config["patience"])
        valid = Queries(folder / "valid.parquet", number_of_N, config["length"])
    optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])
    rows = Rows(events, number_of_N, config["length"])
    epochs = []
    while len(epochs) < config["max_epochs"]:
        model.train()
        epochs.append(one_epoch(model, optimizer, rows, config))
        model.eval()
        with torch.no_grad():
            if best:
                ndcg = valid.ndcg_at_10(encode, model.item_embeddings.weight, config["hides_known"])
                if best.add(ndcg, model):
                    break
    training = {"epochs": epochs, "best_epoch": len(epochs) - 1}
    if best:
        model.load_state_dict(best.weights)
        training |= {"best_epoch": best.epoch, "ndcgs": best.ndcgs}
    (folder / "training.json").write_text(json.dumps(training))

    if (folder / "cases.parquet").exists():
        cases = Queries(folder / "cases.parquet", number_of_N, config["length"])
        with torch.no_grad():
            users_KD = cases.users(encode).numpy()
        write_vectors(folder, cases, users_KD, model.item_embeddings.weight.detach().numpy(), number_of_N)


def model_of(config, num_numbers):
    sys.path.insert(0, str(Path(config["checkout"]) / "src"))
    from model.bsarec import BSARecModel

    names = {
        "item_size": num_numbers,
        "hidden_size": config["width"],
        "max_seq_length": config["length"],
        "num_hidden_layers": config["num_layers"],
        "num_attention_heads": config["num_heads"],
        "hidden_act": "gelu",
        "attention_probs_dropout_prob": config["dropout"],
        "hidden_dropout_prob": config["dropout"],
        "initializer_range": 0.02,
        "alpha": config["low_pass_share"],
        "c": config["num_low_frequencies"],
        "batch_size": config["batch_size"],
    }
    return BSARecModel(Namespace(**names))


class Rows:
    """One row per event of the newest `length` of a user: the target and its user's events before it."""

    def __init__(self, events, number_of_N, length):
        self.length = length
        self.numbers = [number_of_N[items.to_numpy()][-length:] for _, items in events.groupby("user")["item"]]
        lengths = [len(numbers) for numbers in self.numbers]
        self.user_R = np.repeat(np.arange(len(lengths)), lengths)
        self.end_R = np.concatenate([np.arange(length) for length in lengths])

    def __len__(self):
        return len(self.user_R)

    def batch(self, row_B):
        item_BL = np.zeros((len(row_B), self.length), np.int64)
        target_B = np.zeros(len(row_B), np.int64)
        for b, row in enumerate(row_B):
            numbers, end = self.numbers[self.user_R[row]], self.end_R[row]
            item_BL[b, self.length - end :] = numbers[:end]
            target_B[b] = numbers[end]
        return torch.from_numpy(item_BL), torch.from_numpy(target_B)


def one_epoch(model, optimizer, rows, config):
    """Train on every row once, in random order; return the seconds and the sizes."""
    wall, cpu = time.perf_counter(), time.process_time()
    batches = torch.randperm(len(rows)).split(config["batch_size"])[: config["max_batches"]]
    for row_B in batches:
        item_BL, target_B = rows.batch(row_B.numpy())
        logits_BM = model(item_BL)[:, -1] @ model.item_embeddings.weight.T
        loss = torch.nn.functional.cross_entropy(logits_BM, target_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    num_rows = sum(map(len, batches))
    seconds = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return {**seconds, "histories": num_rows, "targets": num_rows}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
