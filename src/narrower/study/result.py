"""What a search from Python found: its front, and what one does with a member of it."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from narrower.errors import RunError, require_extra, unknown_name
from narrower.plan.plan import plan_from_dict
from narrower.report.flat_table import trials_rows
from narrower.report.pick import pick_drop, pick_knee, pick_within
from narrower.report.record import Member, RunRecord
from narrower.store.run_directory import RunDirectory
from narrower.study.problem import Problem

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from narrower.export.manifest import Manifest
    from narrower.export.subject import Subject, Wishes


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    ``front`` is a plain table. A notebook shows the result as a picture of the front with its members.
    """

    record: RunRecord
    problem: Problem = field(repr=False)
    run: RunDirectory

    @property
    def front(self) -> list[dict[str, Any]]:
        """The members: number, metrics, interval and test value of the leading one, and plan."""
        leading = self.record.metric.name
        return [
            {
                "number": member.number,
                **member.metrics,
                f"{leading}_interval": member.interval,
                f"test_{leading}": member.test_value,
                "certain": member.certain,
                "plan": member.plan,
            }
            for member in self.record.members
        ]

    def best(self, max: Mapping[str, float] | None = None) -> Member:
        """The member that is best in the leading metric, of those whose metrics are at most ``max``.

        Raises:
            SettingsError: a metric that the search did not record.
            RunError: no member is within the limits, or the front is empty.
        """
        return pick_within(self.record, max or {}).member

    def cheapest(self, drop: float) -> Member:
        """The cheapest member that loses at most ``drop`` of float32's quality.

        0.01 is one point of a share, or one percent of the value of everything else.

        Raises:
            RunError: every member loses more, or no objective is a cost.
        """
        return pick_drop(self.record, drop).member

    def knee(self) -> Member:
        """The member at which the front bends most.

        Raises:
            RunError: the front is empty.
        """
        return pick_knee(self.record).member

    def model(self, member: Member | int) -> nn.Module:
        """The network of a member (or of the member with this number), computing what was scored.

        It takes batches of samples of the shape that the data have, and rounds as the plan says.

        Raises:
            RunError: there is no such member.
        """
        from narrower.export.loaded import deployed_model

        subject = self._subject(member)
        return deployed_model(subject.model, subject.plan, subject.data.examples)

    def export(
        self, member: Member | int, kind: str, directory: Path | str, wishes: "Wishes | None" = None
    ) -> "Manifest":
        """Write a member as "onnx", "qonnx", "verilog", "safetensors", ..., run it and compare it.

        Raises:
            RunError: there is no such member.
            UnknownNameError: no such kind of artefact.
            ExportError: the plan cannot be expressed, or the artefact computes something else.
            OutputError: it cannot be written.
        """
        from narrower.export.deliver import export_plan

        return export_plan(self._subject(member), kind, Path(directory), wishes)

    def to_pandas(self) -> "pd.DataFrame":
        """All trials, one a row: state, metrics, a column for each layer's formats, and "on_front".

        Raises:
            MissingExtraError: pandas is not installed.
        """
        require_extra("pandas", "pandas", "a table of trials")
        import pandas as pd

        header, *rows = trials_rows(self.run)
        table = pd.DataFrame(rows, columns=[str(name) for name in header])
        return table.assign(on_front=table["number"].isin([member.number for member in self.record.members]))

    def plot(self, cost: str | None = None) -> "go.Figure":
        """Quality against a cost (unless given, the first one) as a Plotly figure.

        Raises:
            UnknownNameError: a metric that the search did not record.
        """
        from narrower.report.findings import read_findings
        from narrower.report.front_figure import front_figure
        from narrower.report.plotly_figure import as_plotly

        findings = read_findings(self.run)
        if cost is not None and cost not in findings.table.metrics:
            raise unknown_name("metric", cost, findings.table.metrics)
        return as_plotly(front_figure(findings, cost or findings.costs[0]))

    def _repr_html_(self) -> str:
        from narrower.report.small_front import small_front

        return small_front(self.record)

    def _subject(self, member: Member | int) -> "Subject":
        """A member with the weights that it was scored with."""
        from narrower.export.compressed import load_parts
        from narrower.export.subject import Subject

        number = member if isinstance(member, int) else member.number
        found = {each.number: each for each in self.record.members}.get(number)
        if found is None:
            allowed = ", ".join(str(each.number) for each in self.record.members)
            raise RunError(f"no member has the number {number}; the front has {allowed or 'none'}")
        model, plan = self.problem.model, plan_from_dict(found.plan)
        if found.weights is not None:
            model, plan = load_parts(self.run.path / found.weights, model)
        return Subject(model, self.problem.model_name, plan, self.problem.data, number)


def passing_directory() -> RunDirectory:
    """A directory for a run, which is deleted when this process ends."""
    path = tempfile.mkdtemp(prefix="narrower-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return RunDirectory(Path(path) / "run")
