"""What the referees that train share: the queries as padded arrays, the best epoch, and the vectors they write.

A score is the dot product of a user and an item. One more axis marks unknown items: 1 in each user, 0 in an item of
the training events, `UNKNOWN` in the others, which therefore rank last. A user without a known event is 0 on all other
axes: all known items have the same score.

Imported by scripts in their own environments: no redrec here.

Shapes: C queries, K of them with a known event, L events, T = L + 1, N items of the catalog, M numbers of the referee's
(0 is padding), B queries of a batch, D width.
"""

import copy
import sys

import numpy as np
import pandas as pd
import torch

UNKNOWN = -1e6  # far below any dot product; adding 0 to the other scores changes nothing
QUERIES_PER_BATCH = 512


class Queries:
    """Queries in the referee's own numbers of items, 0 for padding; only those with a known event.

    `seconds_KT` are the times of the events, the last one that of the query; padding has the time of the first event.
    """

    def __init__(self, path, number_of_N, length):
        rows = pd.read_parquet(path)
        item_CL = np.zeros((len(rows), length), np.int64)
        seconds_CT = np.zeros((len(rows), length + 1), np.int64)
        for row, query in enumerate(rows.itertuples()):
            numbers = number_of_N[query.history]
            kept = np.flatnonzero(numbers)[-length:]
            times_ms = np.append(query.timestamps_ms[kept], query.moment_ms)
            seconds_CT[row] = times_ms[0] // 1000
            seconds_CT[row, -len(times_ms) :] = times_ms // 1000
            item_CL[row, length - len(kept) :] = numbers[kept]
        self.is_known_C = item_CL[:, -1] > 0
        self.item_KL = torch.from_numpy(item_CL[self.is_known_C])
        self.seconds_KT = torch.from_numpy(seconds_CT[self.is_known_C])
        if "target" in rows:
            self.target_K = torch.from_numpy(number_of_N[rows["target"].to_numpy()][self.is_known_C])

    def batches(self):
        return [slice(start, start + QUERIES_PER_BATCH) for start in range(0, len(self.item_KL), QUERIES_PER_BATCH)]

    def users(self, encode):
        """Return `users_KD`, computed by `encode(item_BL, seconds_BT)`."""
        return torch.cat([encode(self.item_KL[batch], self.seconds_KT[batch]) for batch in self.batches()])

    def ndcg_at_10(self, encode, items_MD, hides_known):
        """Return the mean NDCG@10 of the targets among all items of the training events; other targets have none.

        `hides_known` leaves out the items of the query's history.
        """
        gains = 0.0
        for batch in self.batches():
            target_B = self.target_K[batch]
            scores_BM = encode(self.item_KL[batch], self.seconds_KT[batch]) @ items_MD.T
            scores_BM[:, 0] = -torch.inf  # padding
            if hides_known:
                scores_BM.scatter_(1, self.item_KL[batch], -torch.inf)
            rank_B = (scores_BM > scores_BM.gather(1, target_B[:, None])).sum(1)
            is_hit_B = (rank_B < 10) & (target_B > 0)
            gains += (is_hit_B / torch.log2(rank_B + 2)).sum().item()
        return gains / len(self.target_K)


class BestEpoch:
    """The weights of the best epoch so far, by its NDCG@10 of the validation queries."""

    def __init__(self, patience):
        self.patience = patience
        self.ndcgs = []

    def add(self, ndcg, model):
        """Note one more epoch; return whether the best is `patience` epochs ago."""
        self.ndcgs.append(ndcg)
        if self.epoch == len(self.ndcgs) - 1:
            self.weights = copy.deepcopy(model.state_dict())
        print(f"epoch {len(self.ndcgs) - 1:3} | validation ndcg@10 {ndcg:.4f}", file=sys.stderr, flush=True)
        return len(self.ndcgs) - 1 - self.epoch >= self.patience

    @property
    def epoch(self):
        return self.ndcgs.index(max(self.ndcgs))


def write_vectors(folder, queries, users_KD, items_MD, number_of_N):
    """Write `users.npy` and `items.npy`, with the axis of unknown items."""
    users_CD = np.zeros((len(queries.is_known_C), users_KD.shape[1] + 1), np.float32)
    users_CD[queries.is_known_C, :-1] = users_KD
    users_CD[:, -1] = 1
    items_ND = np.zeros((len(number_of_N), users_CD.shape[1]), np.float32)
    items_ND[:, :-1] = items_MD[number_of_N]
    is_unknown_N = number_of_N == 0
    items_ND[is_unknown_N, :-1] = 0
    items_ND[is_unknown_N, -1] = UNKNOWN
    np.save(folder / "users.npy", users_CD)
    np.save(folder / "items.npy", items_ND)
