"""Logs: our own lines and warnings of libraries, to stderr, as text or one JSON object a line; none per request.

No line names a user. KServe would write four lines per request.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady

from serving.config import LogFormat


class ExpectedErrorFilter(logging.Filter):
    """Drops the tracebacks that KServe logs for expected errors; the caller gets their reason."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_other_index = isinstance(error, ModelNotReady) and error.__cause__ is not None
        if is_other_index:  # another bundle's index: the operator must fix it
            record.msg, record.args, record.exc_info = str(error), (), None
            return True
        return not isinstance(error, InvalidInput | ModelNotFound | ModelNotReady | NotImplementedError)


class JsonFormatter(logging.Formatter):
    """One line per record; a traceback is a field of its own."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def logging_config(log_format: LogFormat) -> dict[str, Any]:
    quiet = {"level": "WARNING", "handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"expected": {"()": ExpectedErrorFilter}},
        "formatters": {
            "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "json": {"()": JsonFormatter},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": log_format, "filters": ["expected"]}},
        "loggers": {
            "kserve": quiet,
            "kserve.trace": quiet,
            "uvicorn": quiet,
            "uvicorn.access": quiet,
            "pymilvus": {"level": "CRITICAL"},  # it logs a page per failed call, the retriever one line
            "serving": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        },
    }
