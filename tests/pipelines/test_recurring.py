"""Recurring runs against a recorded API: six fields, one at a time, and one of a name."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import pytest

from jobs.pipelines_api import PipelinesApiError, Target, connect
from pipelines.compile import compile_pipeline
from pipelines.recurring import RecurringRun, check_cron, recur
from pipelines.submit import parameters_of
from redrec.config import InputError
from tests.pipelines.kfp_api import KfpApi, kfp_api
from tests.pipelines.test_compile import parse
from tests.pipelines.test_submit import checked

RECURRING_RUNS = "/apis/v2beta1/recurringruns"
NIGHTLY = "0 0 3 * * *"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline("refresh", tmp_path_factory.mktemp("recurring") / "refresh.yaml")


def recurring(api: KfpApi, package: Path, name: str) -> RecurringRun:
    target = Target(api.url, namespace="team-a", token="secret")
    parameters = parameters_of(package, ["events=s3://b/e.parquet", "items=i.csv"])
    return recur(connect(target), target, package, parameters, name, NIGHTLY)


def test_what_is_sent_has_the_schema_of_the_api(package: Path):
    with kfp_api() as api:
        created = recurring(api, package, "weekly")
    assert created == RecurringRun("rr-2", f"{api.url}/#/recurringrun/details/rr-2", num_replaced=0)
    sent = api.sent("POST", RECURRING_RUNS)
    checked(kfp_server_api.V2beta1RecurringRun, sent)
    checked(kfp_server_api.V2beta1Trigger, sent["trigger"])
    checked(kfp_server_api.V2beta1CronSchedule, sent["trigger"]["cron_schedule"])
    checked(kfp_server_api.V2beta1RuntimeConfig, sent["runtime_config"])
    assert (sent["display_name"], sent["experiment_id"], sent["trigger"]) == (
        "weekly",
        "e-1",
        {"cron_schedule": {"cron": NIGHTLY}},
    )
    assert (sent["mode"], sent["max_concurrency"], sent["no_catchup"]) == ("ENABLE", 1, True)
    assert parse(sent["pipeline_spec"]["pipeline_spec"]).pipeline_info.name == "redrec-refresh"
    assert sent["runtime_config"]["parameters"] == {"events": "s3://b/e.parquet", "items": "i.csv"}
    assert all(headers["authorization"] == "Bearer secret" for _, _, headers, _ in api.received)


def test_it_replaces_the_one_of_its_name_and_no_other(package: Path):
    with kfp_api() as api:
        assert recurring(api, package, "nightly").num_replaced == 1
    calls = [(method, path.partition("?")[0]) for method, path, _, _ in api.received if RECURRING_RUNS in path]
    assert calls == [("GET", RECURRING_RUNS), ("POST", RECURRING_RUNS), ("DELETE", f"{RECURRING_RUNS}/rr-1")]
    (query,) = [parse_qs(urlsplit(path).query) for _, path, _, _ in api.received if f"{RECURRING_RUNS}?" in path]
    assert (query["experiment_id"], "nightly" in query["filter"][0]) == (["e-1"], True)


def test_a_refusal_leaves_the_one_before(package: Path):
    refuses = (403, '{"message": "no."}')
    with (
        kfp_api(refuses=refuses, refused=f"POST {RECURRING_RUNS}") as api,
        pytest.raises(PipelinesApiError, match="no"),
    ):
        recurring(api, package, "nightly")
    assert all(method != "DELETE" for method, *_ in api.received)


@pytest.mark.parametrize("cron", ["0 3 * * *", "@daily", "0 0 3 * * * 2026"])
def test_an_expression_without_six_fields_is_refused(cron: str):
    with pytest.raises(InputError, match=r"reads 6: second, minute, .* is '0 0 3 \* \* \*'"):
        check_cron(cron)
