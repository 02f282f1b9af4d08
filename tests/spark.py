"""Spark for tests that ask for it: how a test is marked, and the session that it gets."""

import os
import shutil

import pytest


def on_spark(test):
    """Mark a test that needs Spark; its own warnings are ignored."""
    ignored = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    for mark in (pytest.mark.spark, pytest.mark.filterwarnings(*ignored), pytest.mark.usefixtures("spark")):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def spark():
    """A Spark of one core, as a user without a cluster starts it; its settings come from its own configuration.

    It keeps to loopback: the JVM outlives a module, and an address that it finds by itself may be gone by the next one.
    """
    pytest.importorskip("pyspark", reason="needs Spark: pip install 'redrec[spark]'")
    if shutil.which("java") is None:
        pytest.skip("needs Java: apt-get install -y openjdk-17-jre-headless")
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g"}
    arguments = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--master local[1] {arguments} pyspark-shell"
    yield
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate().stop()
