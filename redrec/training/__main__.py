"""Train from the command line: torchrun and a TrainJob start this in each process.

torchrun --nproc-per-node 2 -m redrec.training --data run/data --out run/model
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from redrec.config import InputError, load_config
from redrec.cpus import limit_threads


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m redrec.training", description="Train the towers on a data folder.")
    parser.add_argument("--data", type=Path, required=True, help="folder made by `redrec.data.prepare`")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoint and export; resumes from a checkpoint in it"
    )
    parser.add_argument("--recipe", type=Path, help="YAML or JSON file with fields of redrec.training.recipe.Recipe")
    arguments = parser.parse_args()
    limit_threads(os.environ)  # before torch is imported
    from redrec.training.recipe import Recipe
    from redrec.training.trainer import train

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        train(arguments.data, arguments.out, load_config(Recipe, arguments.recipe) if arguments.recipe else Recipe())
    except InputError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    if os.environ.get("RANK", "0") == "0":
        data, out = arguments.data, arguments.out
        print(f"Trained {out}. Next: redrec release --data {data} --model {out} --out runs/first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
