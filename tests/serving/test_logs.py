"""The log alone; test_app.py has it in a running server."""

import json
import logging
import logging.config
import sys

import pytest
from kserve.errors import InvalidInput, ModelNotReady

from redrec.index.milvus import BundleMismatchError
from serving.logs import ExpectedErrorFilter, JsonFormatter


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("serving.app", logging.WARNING, "app.py", 1, message, arguments, exc_info)


def test_a_record_is_one_json_line_with_its_traceback():
    try:
        raise KeyError("lost")
    except KeyError:
        failed = record("%d of\n%s", 2, "Köln")
        failed.exc_info = sys.exc_info()
    line = JsonFormatter().format(failed)
    fields = json.loads(line)
    assert "\n" not in line
    assert (fields["level"], fields["logger"], fields["message"]) == ("WARNING", "serving.app", "2 of\nKöln")
    assert fields["traceback"].endswith("KeyError: 'lost'") and fields["time"].endswith("+00:00")


@pytest.mark.parametrize("error", [InvalidInput("bad"), ModelNotReady("redrec"), NotImplementedError()])
def test_expected_errors_are_not_logged_and_others_are(error: Exception):
    assert not ExpectedErrorFilter().filter(record("failed", error=error))
    assert ExpectedErrorFilter().filter(record("failed", error=KeyError("lost")))


def test_the_index_of_another_bundle_is_logged_without_a_traceback():
    error = ModelNotReady("redrec", "another bundle's")
    error.__cause__ = BundleMismatchError("a", "b", "here")
    mismatch = record("failed", error=error)
    assert ExpectedErrorFilter().filter(mismatch)
    assert "another bundle's" in mismatch.getMessage() and mismatch.exc_info is None
