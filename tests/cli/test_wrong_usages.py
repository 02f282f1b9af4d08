"""What a new user gets wrong: each is one line that says what to do, and no file is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from redrec.bundle.check import FORMAT
from tests.cli.conftest import EVENTS, ITEMS

LOG = {
    "experiment": ["sale", "sale"],
    "user_id": ["u1", "u2"],
    "scenario": ["ads", "ads"],
    "arm": ["control", "treatment"],
    "day": [0, 0],
    "clicks": [1, 0],
    "impressions": [3, 3],
    "hides": [0, 0],
}
PLAN = {"experiment": "sale", "scenarios": ["ads"], "num_days": 7}
FILES = {
    "events.csv": EVENTS,
    "items.csv": ITEMS,
    "empty.csv": "",
    "header.csv": EVENTS.splitlines()[0] + "\n",
    "nothing.csv": ITEMS.splitlines()[0] + "\n",
    "columns.csv": EVENTS.replace("user_id", "who"),
    "times.csv": EVENTS.replace("2024-01-01 00:00:00", "yesterday"),
    "others.csv": EVENTS.replace("i1", "i9"),
    "unnamed.csv": ITEMS.replace("item_id", "sku"),
    "junk.parquet": "not a table",
    "notes.pdf": "notes",
    "broken.yaml": "data: [x\n  test_share: 3\n",
    "list.yaml": "- data\n",
    "unknown.yaml": "optimizer: {num_stepz: 3}\n",
    "broken.json": '{"experiment": ',
    "plan.json": json.dumps(PLAN),
    "misspelt.json": json.dumps(PLAN | {"scenario": "ads"}),
    "backwards.json": json.dumps(PLAN | {"num_days": -7}),
    "elsewhere.json": json.dumps(PLAN | {"scenarios": ["radio"]}),
    "foreign/letter.txt": "to keep",
    "mine/events.parquet": "a table",
    "mine/items.parquet": "a table",
    "run/bundle/bundle.json": json.dumps({"format": FORMAT}),
    "run/features/feature_store.yaml": "",
    "lone/bundle/bundle.json": json.dumps({"format": FORMAT}),
    "brokenrun/metrics.json": "{",
    "halfrun/metrics.json": "{}",
}
TABLES = "--events events.csv --items items.csv"
JOB = "train-job --claim data"
GATE = "gate --log log.parquet --plan plan.json"

# The command, and what its answer says.
SEEN_BY_THE_PARSER = [
    ("", "required: COMMAND"),
    ("trian", "invalid choice: 'trian' (choose from 'validate', 'run'"),
    ("run --events events.csv --items items.csv", "required: --out"),
    ("run --events events.csv --out out", "required: --items"),
    ("validate --event events.csv --itemz items.csv", "unrecognized arguments: --itemz"),
    ("serve --bundle foreign --port eighty", "--port: invalid"),
    ("query --user u1 --scenario ads --k ten", "--k: invalid"),
    ("query --scenario ads", "required: --user"),
    ("compile --pipeline serving", "choose from 'training', 'release'"),
    ("demo --data movielens", "choose from 'complete-journey', 'world'"),
    ("recipe --preset redrek", "choose from 'redrec', 'hllm', 'sasrec'"),
    ("train-job", "required: --claim"),
]
WRONG = [
    # tables
    ("validate --events events.csv", "required: --items"),
    ("validate --events nosuch.csv --items items.csv", "nosuch.csv"),
    (f"validate {TABLES} --map user", "--map user is no list of names"),
    (f"validate {TABLES} --map nosuch=user_id", "--map renames nosuch, and no table has this column"),
    (f"validate {TABLES} --set scenario=web", "the table has a column scenario. Leave it out of --set"),
    ("validate --events events.csv --items nosuch.csv", "nosuch.csv"),
    ("validate --events empty.csv --items items.csv", "0 bytes. Give a file with a header"),
    ("validate --events header.csv --items items.csv", "no rows. Give at least one row"),
    ("validate --events events.csv --items nothing.csv", "no rows. Give at least one row"),
    ("validate --events junk.parquet --items items.csv", "junk.parquet cannot be read"),
    ("validate --events notes.pdf --items items.csv", "notes.pdf is of no known type. Allowed: "),
    ("validate --events foreign --items items.csv", "foreign"),
    ("validate --events columns.csv --items items.csv", "user_id"),
    ("validate --events events.csv --items unnamed.csv", "item_id"),
    ("validate --events items.csv --items events.csv", "missing; seen: "),
    ("validate --events times.csv --items items.csv", "timestamp"),
    ("validate --events others.csv --items items.csv", "item"),
    (f"validate {TABLES} --out items.csv", "--out items.csv is a file. Give a folder"),
    (f"validate {TABLES} --out foreign", "letter.txt, which no validation wrote"),
    (
        "validate --events mine/events.parquet --items items.csv --out mine",
        "holds mine/events.parquet, and is replaced",
    ),
    (f"validate {TABLES} --html foreign", "--html foreign is a folder. Give a file"),
    (f"validate {TABLES} --html nosuch/page.html", "--html nosuch/page.html"),
    # recipes
    (f"validate {TABLES} --recipe nosuch", "--recipe nosuch is no file and no preset. Give a file, or one of redrec, "),
    (f"validate {TABLES} --recipe foreign", "foreign is a folder. Give the path of a YAML or JSON file"),
    (f"run {TABLES} --out out --recipe broken.yaml", "broken.yaml cannot be read: line 2, column "),
    (f"run {TABLES} --out out --recipe list.yaml", "list.yaml holds list, not a mapping"),
    (f"run {TABLES} --out out --recipe junk.parquet", "junk.parquet holds str, not a mapping"),
    (f"run {TABLES} --out out --recipe unknown.yaml", "optimizer.num_stepz: unknown key, did you mean num_steps?"),
    (f"run {TABLES} --out out --set num_steps=5", "--set: num_steps: unknown key, did you mean optimizer.num_steps?"),
    (f"run {TABLES} --out out --set optimizer.num_steps=0", "Input should be greater than 0, not 0"),
    (f"run {TABLES} --out out --set optimizer.num_steps=many", "should be a valid integer"),
    (f"run {TABLES} --out out --set optimizer", "is no assignment. Give it as in --set optimizer.num_steps=2000"),
    (f"run {TABLES} --out out --set data.test_share=1.5", "Input should be less than 1, not 1.5"),
    (f"run {TABLES} --out out --set item_tower.encoder.kind=bert", "allowed are 'hashed', 'vectors', 'text'"),
    (f"validate {TABLES} --set data.scenarios=[radio]", "unknown scenario (allowed: radio)"),
    (f"{JOB} --set seed=x", "--set: seed: Input should be a valid integer"),
    ("recipe --set seed=[1", "has no YAML or JSON after the ="),
    # runs
    ("run --events nosuch.csv --items items.csv --out out", "nosuch.csv"),
    ("run --events events.csv --items unnamed.csv --out out", "item_id"),
    (f"run {TABLES} --out foreign", "letter.txt, which no run wrote"),
    (f"run {TABLES} --out items.csv", "--out items.csv is a file. Give a folder"),
    (f"run {TABLES} --out /proc/nosuch/run", "/proc/nosuch"),
    ("worth --run nosuch", "has no metrics.json. Give the folder of a finished `redrec run`"),
    ("worth --run items.csv", "has no metrics.json. Give the folder of a finished `redrec run`"),
    ("worth --run brokenrun", "metrics.json cannot be read: line 1"),
    ("worth --run halfrun", "has no scenario_value"),
    ("release --data nosuch --model foreign --out out", "no finished model"),
    ("release --data foreign --model nosuch --out out", "no finished model"),
    ("release --data items.csv --model items.csv --out out", "no finished model"),
    ("demo --out items.csv", "--out items.csv is a file. Give a folder"),
    ("demo --out foreign", "letter.txt, which no demo wrote"),
    ("demo --config nosuch.yaml", "nosuch.yaml does not exist"),
    ("demo --config unknown.yaml", "optimizer: unknown key. Allowed keys: world, experiment"),
    ("forget --run nosuch --user u1", "nosuch"),
    ("forget --run foreign --user u1", "foreign"),
    ("forget --run run --user u1 --log nosuch.parquet", "nosuch.parquet"),
    ("forget --run run --user u1 --log events.csv", "no Parquet file and no data folder"),
    ("push --run nosuch --events events.csv", "nosuch"),
    ("push --run foreign --events events.csv", "foreign"),
    ("push --run run --events nosuch.csv", "nosuch.csv"),
    ("push --run run --events items.csv", "missing; seen: item_id, title"),
    # serving
    ("serve --bundle nosuch --config broken.yaml", "broken.yaml cannot be read: line 2, column "),
    ("serve --bundle nosuch --config list.yaml", "not a mapping"),
    ("serve --bundle nosuch", "nosuch"),
    ("serve --bundle foreign", "foreign"),
    ("serve --bundle run", "run/bundle"),
    ("serve --run nosuch", "nosuch"),
    ("serve --run run", "feature_store.yaml holds NoneType, not a mapping"),
    ("serve --bundle lone/bundle --port 99999", "99999"),
    ("serve --bundle lone/bundle --port -1", "-1"),
    ("query --user u1 --scenario ads --k 0", "0"),
    ("query --user u1 --scenario ads --url http://localhost:1", "Is `redrec serve` running there?"),
    ("fetch nosuch out", "Give one like s3://bucket/releases"),
    ("publish foreign http://host/x", "Give one like s3://bucket/releases"),
    ("query --user u1 --scenario ads --url localhost:8080", "Give http://HOST:PORT"),
    ("query --user u1 --scenario ads --url ftp://localhost", "Give http://HOST:PORT"),
    # experiments
    ("gate --log nosuch.parquet --plan plan.json", "nosuch.parquet"),
    ("gate --log events.csv --plan plan.json", "cannot be read as a Parquet file"),
    ("gate --log foreign --plan plan.json", "foreign"),
    ("gate --log log.parquet --plan nosuch.json", "nosuch.json does not exist"),
    ("gate --log log.parquet --plan broken.json", "broken.json cannot be read: line 1"),
    ("gate --log log.parquet --plan log.parquet", "log.parquet cannot be read"),
    ("gate --log plan.json --plan plan.json", "plan.json cannot be read as a Parquet file"),
    ("gate --log log.parquet --plan misspelt.json", "scenario: unknown key, did you mean scenarios?"),
    ("gate --log log.parquet --plan backwards.json", "num_days: Input should be greater than"),
    ("gate --log log.parquet --plan elsewhere.json", "radio"),
    # the cluster
    ("compile --out training.json", "Try --out training.yaml"),
    ("compile --out folder.yaml", "folder.yaml"),
    ("compile --out /proc/nosuch/training.yaml", "/proc/nosuch"),
    (f"{JOB} --num-nodes 0", "num_nodes: Input should be greater than 0"),
    (f"{JOB} --num-nodes two", "num_nodes: Input should be a valid integer"),
    (f"{JOB} --num-gpus 3", "give num_gpus = num_processes, or 0"),
    (f"{JOB} --memory 16GB", "memory"),
    (f"{JOB} --name MyJob", "name"),
    (f"{JOB} --out /model", "give a path relative to its root"),
    ("train-job --claim My_Data", "claim"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what may be given by mistake."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    pq.write_table(pa.table(LOG), tmp_path / "log.parquet")
    (tmp_path / "folder.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("command", "says"), WRONG, ids=[command for command, _ in WRONG])
def test_a_wrong_usage_is_one_line_that_says_what_to_do(
    command: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = contents(folder)
    assert main(command.split()) == 2
    shown = capsys.readouterr()
    *progress, line = shown.err.splitlines()
    assert says in line and line.startswith(f"redrec {command.split()[0]}: ") and line.endswith((".", "?"))
    assert (progress, shown.out) == ([], "")
    assert contents(folder) == before


@pytest.mark.parametrize(("command", "says"), SEEN_BY_THE_PARSER)
def test_an_option_that_is_wrong_is_named(command: str, says: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    assert says in capsys.readouterr().err.splitlines()[-1]


LATE = ("--set", "unknown.yaml", "/proc/nosuch/training.yaml")  # what a recipe may hold is known to torch's modules


def test_a_mistake_that_can_be_seen_at_once_is_said_before_the_slow_imports(folder: Path):
    commands = [command.split() for command, _ in WRONG if not any(late in command for late in LATE)]
    script = (
        "import json, sys; from cli.main import main; [main(argv) for argv in json.loads(sys.argv[1])]; "
        "print(*{'torch', 'feast', 'kfp', 'kserve', 'pymilvus', 'transformers', 'evidently'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-c", script, json.dumps(commands)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    assert len(ran.stderr.splitlines()) == len(commands)
    assert ran.stdout == "\n"
