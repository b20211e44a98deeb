from pathlib import Path

from narrower.report.findings import read_findings
from tests.report.made_up_run import all_widths, write_run


def test_uniform_trials_have_one_width_for_each_operand_in_all_layers(tmp_path: Path) -> None:
    layers = ("a", "b", "c")
    findings = read_findings(write_run(tmp_path / "run", layers=layers))
    found = {findings.table.plan_indices[trial.row]: trial.label for trial in findings.uniform}
    expected = {
        index: "data {}, weight {}".format(*plan["a"])
        for index, plan in enumerate(all_widths(layers))
        if plan["a"] == plan["b"] == plan["c"]
    }
    assert found == expected
    assert len(expected) == 6


def test_plans_of_one_layer_are_not_called_uniform(tmp_path: Path) -> None:
    assert read_findings(write_run(tmp_path / "run", layers=("only",))).uniform == ()
