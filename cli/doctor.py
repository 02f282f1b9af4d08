"""`redrec doctor`: what this machine and the cluster have, what is missing, and the command that mends it."""

import argparse

from cli.command import Outcome
from cli.table import indented, table

SUMMARY = "check packages, cluster, rights, Milvus, Redis and S3, and say what mends each"
EXAMPLE = "redrec doctor --namespace default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="default", help="namespace of the service (default: default)")
    parser.add_argument("--claim", help="PersistentVolumeClaim to look for (default: none)")


def run(arguments: argparse.Namespace) -> Outcome:
    from cli.doctor_checks import checked

    checks = checked(arguments.namespace, arguments.claim)
    missing = [check for check in checks if check.state == "missing"]
    rows = [["check", "state", "what was seen"], *([check.name, check.state, check.said] for check in checks)]
    remedies = [f"{check.name}: {check.remedy}" for check in missing]
    end = f"To mend it:\n{indented(chr(10).join(remedies))}" if remedies else "Nothing that is configured is missing."
    return Outcome({"checks": [check._asdict() for check in checks]}, f"{table(rows)}\n\n{end}")
