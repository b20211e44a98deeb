"""A search over edges, from its settings to what is exported."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from narrower.export.compressed import load_compressed
from narrower.export.deliver import export_plan
from narrower.export.subject import Subject, Wishes
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan, plan_from_dict
from narrower.report.read_record import read_record
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.study.pose import pose
from narrower.study.problem import with_model
from narrower.study.run_facts import begin_run
from narrower.study.study import search

FILE = """
model = "digits-cnn"
dataset = "digits"

[search.search_space]
name = "quantize"

[search.search_space.setup]
quantize = "edges"
batch_norm = "fold"
sign = "auto"

[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
data_in_frac_width = ["auto"]
weight_width = [8]
weight_frac_width = ["auto"]
bias_width = [8]
bias_frac_width = [3]

[search.strategy.setup]
sampler = "brute_force"

[search.strategy.sw_runner.basic_evaluation]
num_samples = 100

[search.strategy.metrics]
accuracy.direction = "maximize"
bitops.direction = "minimize"
"""


def test_a_search_over_edges_gives_plans_that_are_delivered_as_they_were_scored(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(FILE)
    posed = pose(load_settings(file).settings)
    problem, run = with_model(posed, posed.model), RunDirectory(tmp_path / "run")
    with run.locked(), begin_run(problem, run, "") as store:
        record = search(problem, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
    assert record.summary.trials == 2**4  # input, two convolutions and the pooling, at 4 or 8 bits
    plans = [plan_from_dict(member.plan) for member in record.members]
    assert all(set(plan.outputs) == {"input", "0", "4", "7"} for plan in plans)
    for member, plan in zip(record.members, plans, strict=True):
        rows = {edge.edge: edge for edge in member.edges}
        assert [*rows] == ["input", "0", "4", "7", "9"]
        assert (rows["input"].kind, rows["input"].readers, rows["input"].values) == ("input", ("0",), 64)
        assert rows["9"].is_output
        assert rows["9"].format == "float32"
        for name, edge in rows.items():
            alone = Plan.of((n, replace(own, output=FLOAT32) if n == name else own) for n, own in plan.layers)
            assert edge.format == plan.layer(name).output.text
            assert edge.saved_bitops == problem.cost.of(alone)["bitops"] - problem.cost.of(plan)["bitops"]
            assert edge.bits == (edge.values or 0) * plan.layer(name).output.bits
        assert rows["input"].saved_bitops > 0
    assert read_record(run).members == record.members
    subject = Subject(problem.model, problem.model_name, plans[0], problem.data)
    onnx = export_plan(subject, "onnx", tmp_path / "onnx", Wishes(samples=1000, keeps_integers=True))
    assert onnx.mode == "exact"
    assert onnx.checks[0].differing_elements == 0
    assert any("numbers on edges" in line for line in onnx.notes)
    packed = export_plan(subject, "safetensors", tmp_path / "packed", Wishes(samples=1000))
    assert packed.passed
    module = load_compressed(tmp_path / "packed" / "model.safetensors")
    assert module(problem.data.test.inputs[:4]).shape == (4, 10)
