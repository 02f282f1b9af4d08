"""Act: a window's verdicts in; what follows from them and from past windows is decided, kept and sent.

The history is written before anything is sent, so a receiver that is down loses no verdict. It is written once a
window: a step that is repeated decides the same again, and starts no second training. What was not delivered is
returned, written to the summary and counted in the metrics; a training starts all the same.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from redrec.atomic import replaced_file
from redrec.config import InputError
from redrec.drift.actions import NextStep, next_step, run_name, with_actions
from redrec.drift.alerts import Alert, alerts_json, alerts_of, post_alerts
from redrec.drift.config import DriftConfig
from redrec.drift.deliver import DeliveryError, check_address
from redrec.drift.history import NO_HISTORY, DriftHistory, StartedTraining, moment, read_history, span_of, write_history
from redrec.drift.metrics import metrics_text, push_metrics
from redrec.drift.timeline import timeline_page
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder, write_json
from redrec.markdown import escaped

logger = logging.getLogger(__name__)


class Receivers(NamedTuple):
    """Where verdicts are kept and sent; an empty address is none."""

    history: str = ""  # file of JSON lines: a path, or s3://bucket/key
    webhook: str = ""  # takes alerts as Prometheus' Alertmanager does, at http://host:9093/api/v2/alerts
    pushgateway: str = ""  # of Prometheus, such as http://host:9091
    service: str = "redrec"  # that alerts and metrics name


class Acted(NamedTuple):
    drift: Drift  # with its actions
    time: datetime  # the end of the window, or of this moment without windows
    step: NextStep
    name: str  # of the run that trains, with the reason; empty if none does
    undelivered: list[str]  # in words


def act(drift: Drift, config: DriftConfig, receivers: Receivers, out: Path, retrain: bool, now: datetime) -> Acted:
    """Decide the actions, write the verdicts, alerts, metrics and pages into `out`, and send alerts and metrics.

    Raises:
        InputError: A setting cannot be used, or the history is none.
        ConnectionError: The store of the history does not answer.
    """
    _check(receivers, config, retrain)
    history = kept_history(receivers)
    before = history.before(span_of(drift)).windows if drift.windows else history.windows
    acted = with_actions(drift, history, config)
    step = next_step(acted, retrain)
    name = run_name(acted) if step == "train" else ""
    history = history.with_window(acted)
    if step == "train":
        history = history.with_training(StartedTraining(window=span_of(acted), started_at=now, reason=name))
    if receivers.history:
        write_history(receivers.history, history)
    alerts = alerts_of(acted, before[-1] if before else None, receivers.service, now)
    undelivered = _deliver(acted, alerts, receivers)
    result = Acted(acted, moment(span_of(acted)[1]) if acted.windows else now, step, name, undelivered)
    _write(result, alerts, timeline_page(history, acted), DriftFolder(out))
    return result


def kept_history(receivers: Receivers) -> DriftHistory:
    """Return what is known of earlier windows, nothing without an address.

    Raises:
        InputError: The file is no history, or the store refuses the request.
        ConnectionError: The store does not answer.
    """
    return read_history(receivers.history) if receivers.history else NO_HISTORY


def actions_markdown(acted: Acted) -> str:
    """Return the verdict and the action of each scenario as a table, and what was not delivered."""
    lines = ["| scenario | verdict | reason | action | reason |", "|---|---|---|---|---|"]
    for name, one in acted.drift.scenarios.items():
        cells = [name, one.verdict, one.reason, one.action, one.action_reason]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    if acted.name:
        lines += ["", f"A training starts. {_cell(acted.name)}."]
    if acted.undelivered:
        lines += ["", "Not delivered:", "", *(f"- {_cell(text)}" for text in acted.undelivered)]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Return a text of the user's so that Markdown and HTML read it as one."""
    return escaped(" ".join(text.split()))


def _check(receivers: Receivers, config: DriftConfig, retrain: bool) -> None:
    if receivers.webhook:
        check_address("webhook", receivers.webhook)
    if receivers.pushgateway:
        check_address("pushgateway", receivers.pushgateway)
    if retrain and not receivers.history and config.retrain_windows > 1:
        raise InputError(
            f"retrain is given without a history: {config.retrain_windows} windows must drift, and without it each run "
            "knows its own alone. Give history, or set drift.retrain_windows to 1."
        )


def _deliver(drift: Drift, alerts: Sequence[Alert], receivers: Receivers) -> list[str]:
    """Send what has a receiver; return what was not delivered."""
    failed = []
    if receivers.webhook:
        failed += _failures(lambda: post_alerts(alerts, receivers.webhook))
    if receivers.pushgateway:
        num_failed = len(failed)
        failed += _failures(lambda: push_metrics(drift, num_failed, receivers.pushgateway, receivers.service))
    return failed


def _failures(send: Callable[[], None]) -> list[str]:
    try:
        send()
    except DeliveryError as error:
        logger.error("%s", error)
        return [str(error)]
    return []


def _write(acted: Acted, alerts: Sequence[Alert], page: str, files: DriftFolder) -> None:
    files.path.mkdir(parents=True, exist_ok=True)
    write_json(files.verdicts, acted.drift.model_dump(mode="json"))
    files.alerts.write_bytes(alerts_json(alerts))
    with replaced_file(files.metrics) as new:  # which a collector may be reading
        new.write_bytes(metrics_text(acted.drift, len(acted.undelivered)))
    files.markdown.write_text(actions_markdown(acted), encoding="utf-8")
    files.timeline.write_text(page, encoding="utf-8")
