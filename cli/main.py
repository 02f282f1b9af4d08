"""The command line: `redrec COMMAND`, one module of this folder per command.

A command calls one function and prints its result: as text, or with `--json` as one JSON document.
Progress and errors go to standard error. Exit status: 0 for success, 2 for bad input, 1 for any other error.
"""

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence

from cli import (
    activate,
    clean_index,
    demo,
    doctor,
    drift,
    fetch,
    forget,
    gate,
    items,
    load_job,
    monitor,
    publish,
    push,
    query,
    recipe,
    register,
    release,
    retain,
    run,
    serve,
    submit,
    train_job,
    validate,
    worth,
)
from cli import compile as compile_
from cli.command import Command, Outcome, add_command, say
from pipelines.progress import RunError
from redrec import __version__
from redrec.config import InputError
from redrec.cpus import limit_threads
from redrec.signals import leave_on_sigterm

COMMANDS: dict[str, Command] = {
    "validate": validate,
    "run": run,
    "worth": worth,
    "recipe": recipe,
    "release": release,
    "serve": serve,
    "query": query,
    "push": push,
    "items": items,
    "activate": activate,
    "forget": forget,
    "gate": gate,
    "drift": drift,
    "monitor": monitor,
    "doctor": doctor,
    "compile": compile_,
    "register": register,
    "submit": submit,
    "train-job": train_job,
    "publish": publish,
    "fetch": fetch,
    "retain": retain,
    "clean-index": clean_index,
    "load-job": load_job,
    "demo": demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    leave_on_sigterm()  # so that a command ends its processes and removes its temporary folders
    limit_threads(os.environ)  # before a command imports a library that computes
    arguments = parser().parse_args(argv)
    name = f"redrec {arguments.command}"
    try:
        outcome: Outcome = COMMANDS[arguments.command].run(arguments)
    except InputError as error:
        say(f"{name}: {error}")
        return 2
    except (RunError, ConnectionError) as error:
        say(f"{name}: {error}")
        return 1
    except OSError as error:
        if error.errno == errno.ENOSPC:
            say(f"{name}: {error.filename or 'the folder to write to'}: the disk is full. What was there is as it was.")
            return 1
        if error.filename is None:
            raise
        say(f"{name}: {error.filename}: {error.strerror}. Give a path that you may read and write.")
        return 2
    except ModuleNotFoundError as error:
        say(f"{name} needs the Python package {error.name}. Install it: pip install 'redrec[all]'")
        return 1
    except KeyboardInterrupt:
        say(f"{name}: stopped")
        return 130
    documents = outcome.result if isinstance(outcome.result, list) else [outcome.result]
    print("\n".join(map(json.dumps, documents)) if arguments.json else outcome.text)
    return outcome.status


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="redrec",
        description="Cross-scenario item retrieval: one model reads the events of all scenarios and serves each.",
        epilog="Begin with `redrec demo`; most examples in the commands' help use its files.",
    )
    top.add_argument("--version", action="version", version=f"redrec {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        add_command(commands, name, command)
    return top


if __name__ == "__main__":
    sys.exit(main())
