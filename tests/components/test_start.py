"""The log levels of a step."""

import logging

import pytest

from components.start import start_step


@pytest.fixture(autouse=True)
def levels_restored():
    loggers = [
        logging.getLogger(name) for name in (None, "redrec", "serving", "monitoring", "feature_repo", "grpc._server")
    ]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_our_packages_log_at_info_and_libraries_at_warning():
    start_step()
    assert logging.getLogger("redrec.training").isEnabledFor(logging.INFO)
    assert not logging.getLogger("a_library").isEnabledFor(logging.INFO)
    assert logging.getLogger("a_library").isEnabledFor(logging.WARNING)
