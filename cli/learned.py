"""Learned: what the metrics of a run show, as one sentence."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cli.command import HEADLINE
from redrec.evaluation.evaluate import WITHOUT_BOOSTS, WITHOUT_RANKER

Metrics = Mapping[str, Any]


class Effect(NamedTuple):
    """A difference of the headline metric, and the two that it is between."""

    scenario: str
    other: str
    estimate: Mapping[str, Any]

    @property
    def is_shown(self) -> bool:
        """Whether its interval is above zero."""
        return self.estimate["low"] is not None and self.estimate["low"] > 0


def learned_text(metrics: Metrics) -> str:
    """Return where the model is above every baseline, and which scenario's events help another one most."""
    above, helping = list(gains_over_best(metrics)), max(helps(metrics), key=_size, default=None)
    shown = [f"{gain.scenario} {gain.estimate['value']:+.3f} over {gain.other}" for gain in above if gain.is_shown]
    where = f"in {len(shown)} of {len(metrics['scenarios'])} scenarios"
    listed = f" ({', '.join(shown)})" if shown else ""
    if helping is None:
        value = "no scenario's events are shown to help another one"
    else:
        value = (
            f"the events of {helping.other} help {helping.scenario} most, which loses "
            f"{helping.estimate['value']:.3f} without them"
        )
    return (
        f"What was learned: the {HEADLINE} of redrec is above that of the best baseline {where}{listed}, and {value}; "
        "counted is what has an interval above zero."
    )


def gains_over_best(metrics: Metrics) -> Iterator[Effect]:
    """Yield, per scenario with test users, the gain over the baseline with the highest value."""
    for scenario, gains in metrics["gains"].items():
        values = {
            model: metrics["scenarios"][scenario][model][HEADLINE]["value"]
            for model in gains
            if model not in (WITHOUT_RANKER, WITHOUT_BOOSTS)
        }
        known = {model: value for model, value in values.items() if value is not None}
        if known:
            best = max(known, key=lambda model: known[model])
            yield Effect(scenario, best, gains[best][HEADLINE])


def helps(metrics: Metrics) -> Iterator[Effect]:
    """Yield each loss without another scenario's events whose interval is above zero."""
    for queried, losses in metrics["scenario_value"].items():
        for removed, estimates in losses.items():
            effect = Effect(queried, removed, estimates[HEADLINE])
            if removed != queried and effect.is_shown:
                yield effect


def _size(effect: Effect) -> float:
    return float(effect.estimate["value"])
