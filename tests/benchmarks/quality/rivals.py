"""Rivals: each referee's candidates, and which of them is measured for a data set and protocol.

A candidate is chosen by its NDCG@10 with `--measured validation --candidate NAME`, mean over the scenarios, seed 0.
Sources: blondered/transformer_benchmark (eSASRec's authors: SASRec and eSASRec), MTandHJ/RecBoard (HSTU), and
yehjin-shin/BSARec (the authors' log).
"""

from pathlib import Path

from redrec.config import InputError
from tests.benchmarks.quality.datasets import Protocol, plain
from tests.benchmarks.referees.contract import RefereeSettings


class Rival(RefereeSettings):
    is_per_scenario: bool = True  # one model for each scenario, trained on its events alone, as in all published rows


PUBLISHED = "published"
SASREC = Rival(model="sasrec", num_layers=1, num_heads=1, loss="sampled_softmax", skips_padding=True, patience=5)
ESASREC = SASREC.model_copy(update={"model": "esasrec"})
HSTU = SASREC.model_copy(
    update={
        "model": "hstu",
        "num_layers": 4,
        "num_heads": 2,
        "num_negatives": 512,
        "similarity": "cosine",
        "temperature": 0.1,
        "batch_size": 256,
    }
)
BSAREC = Rival(model="bsarec", num_heads=1, dropout=0.5, learning_rate=5e-4, batch_size=256, patience=5)


TOGETHER: dict[str, object] = {"is_per_scenario": False}
LIGHT: dict[str, object] = {"num_layers": 2, "num_negatives": 256}  # half the time per epoch


def _candidates(published: Rival, **others: dict[str, object]) -> dict[str, Rival]:
    return {PUBLISHED: published} | {name: published.model_copy(update=others[name]) for name in others}


CANDIDATES: dict[str, dict[str, Rival]] = {
    "rectools_sasrec": _candidates(
        SASREC,
        wide={"width": 256},
        softmax={"loss": "softmax", "dropout": 0.5, "learning_rate": 3e-3},
        together=TOGETHER,
    ),
    "rectools_esasrec": _candidates(ESASREC, together=TOGETHER),
    "rectools_hstu": _candidates(HSTU, light=LIGHT, together={**LIGHT, **TOGETHER}),
    "bsarec": _candidates(BSAREC),
}


# The name of the chosen candidate; absent: `published`.
CHOSEN: dict[tuple[str, Protocol], dict[str, str]] = {}


def candidate(preset: str, name: str, protocol: Protocol, wanted: str | None) -> Rival:
    """Return a rival's candidate by its name, or the chosen one for a data set and protocol."""
    candidates = CANDIDATES[preset]
    wanted = wanted or CHOSEN.get((name, plain(protocol)), {}).get(preset, PUBLISHED)
    if wanted not in candidates:
        raise InputError(f"{preset} has no candidate {wanted}; there are {', '.join(candidates)}.")
    return candidates[wanted]


def with_checkout(rival: Rival, checkout: Path | None) -> Rival:
    """Return the rival with its code.

    Raises:
        InputError: There is no checkout of the rival's repository at the path.
    """
    model = Path("src", "model", "bsarec.py")
    if checkout is None or not (checkout / model).is_file():
        seen = "No --checkout was given" if checkout is None else f"{checkout} has no {model}"
        raise InputError(f"{seen}. Clone https://github.com/yehjin-shin/BSARec and give its folder as --checkout.")
    return rival.model_copy(update={"checkout": checkout.absolute()})
