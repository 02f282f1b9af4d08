"""Experiment: its tables and plan, decided, kept in a ledger and reported in a folder."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from redrec.batch import named_in
from redrec.config import load_config
from redrec.data.tables import Engine
from redrec.experiments import gate, ledger
from redrec.experiments.decisions import Decision, Result, decisions_markdown
from redrec.experiments.looks import until
from redrec.experiments.plan import Plan
from redrec.experiments.report import page
from redrec.folders import DecisionFolder, write_json


class Experiment(NamedTuple):
    exposures: Path
    outcomes: Path
    plan: Plan
    engine: Engine = "duckdb"

    def decide(
        self, through: datetime | None = None, ledger_file: Path | None = None, state: Path | None = None
    ) -> list[Result]:
        """Return what was decided after each day, the newest last; that one is added to the ledger.

        If the ledger has the experiment with another plan, every scenario is invalid. Of the days that an earlier look
        kept in the folder `state`, no row is read again.

        Raises:
            InputError: A table is absent, cannot be read, or lacks a column, or a line of the ledger is no entry.
        """
        entries = ledger.read_ledger(ledger_file) if ledger_file else []
        log = gate.read(self.exposures, self.outcomes, self.plan, through, self.engine, state)
        looks = gate.decide_looks(log, self.plan, through)
        if fault := ledger.plan_fault(entries, self.plan):
            return [_invalid(looks[-1], fault)]
        if ledger_file:
            entry = ledger.Entry(
                decided_at=datetime.now(UTC), until=until(log, self.plan, through), plan=self.plan, result=looks[-1]
            )
            ledger.append(ledger_file, entry)
        return looks

    def replay(self, ledger_file: Path) -> list[ledger.Replayed]:
        """Decide the entries of this experiment again, from the tables as they are now."""
        entries = [entry for entry in ledger.read_ledger(ledger_file) if entry.plan.experiment == self.plan.experiment]
        return ledger.replay(entries, lambda plan, until: self._replace(plan=plan).decide(until)[-1])


def _invalid(result: Result, reason: str) -> Result:
    """Return the result with every scenario invalid, without numbers."""
    scenarios = {
        name: Decision(verdict="invalid", rule="plan_changed", reason=reason, look=0, users=decision.users)
        for name, decision in result.scenarios.items()
    }
    return result.model_copy(update={"verdict": "invalid", "scenarios": scenarios})


def experiment_in(folder: Path) -> Experiment:
    """Return the experiment of a folder: the files or folders whose names begin with exposures, outcomes and plan.

    Raises:
        InputError: One of them is absent or there are two, or the plan is none.
    """
    exposures, outcomes, plan = (named_in(folder, stem) for stem in ("exposures", "outcomes", "plan"))
    return Experiment(exposures, outcomes, load_config(Plan, plan))


def write_reports(looks: list[Result], plan: Plan, out: Path) -> DecisionFolder:
    """Write the newest result as JSON and Markdown, and all looks as one page with pictures."""
    files = DecisionFolder(out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(files.decisions, looks[-1].model_dump(mode="json", by_alias=True))
    files.markdown.write_text(decisions_markdown(looks[-1].scenarios), encoding="utf-8")
    files.page.write_text(page(looks, plan), encoding="utf-8")
    return files
