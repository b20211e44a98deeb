"""Artefacts are run, compared and vouched for; one that differs is refused."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from narrower.data.datasets import DataSet
from narrower.errors import ExportError, UnknownNameError
from narrower.export import deliver_onnx
from narrower.export.compressed import load_compressed
from narrower.export.deliver import export_plan
from narrower.export.onnx_model import OnnxFile
from narrower.export.own_outputs import own_outputs
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan, plan_to_dict

WISHES = Wishes(samples=1000)


@pytest.fixture(scope="module")
def subject(jets: DataSet) -> Subject:
    torch.manual_seed(0)
    model = build_model("jsc-toy")
    with torch.no_grad():
        model.train()(jets.train.inputs[:500])
    eight, four = FixedPoint(8, 4), FixedPoint(4, 2)
    plan = Plan.of(
        {
            "seq_blocks.2": LayerPlan(eight, FixedPoint(3, 2), eight),
            "seq_blocks.5": LayerPlan(four, four, four),
            "seq_blocks.8": LayerPlan(eight, FixedPoint(6, 5), eight),
        }
    )
    return Subject(model.eval(), "jsc-toy", plan, jets, trial=7)


@pytest.mark.parametrize(
    ("kind", "package"), [("onnx", "onnx"), ("qonnx", "qonnx"), ("safetensors", "torch")]
)
def test_an_artefact_comes_with_a_manifest(subject: Subject, kind: str, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    manifest = export_plan(subject, kind, tmp_path, WISHES)
    written = json.loads(next(tmp_path.glob("*.manifest.json")).read_text())
    assert written["passed"] is True
    assert written["mode"] == "exact"
    assert written["samples"] == 1000
    assert written["differing_elements"] == 0
    assert written["trial"] == 7
    assert written["plan"] == plan_to_dict(subject.plan)
    assert written["bytes_on_disk"] == Path(manifest.artefact).stat().st_size
    # weights 128 x 3, 64 x 4, 40 x 6; biases (8 + 5) x 8, 8 x 4; batch norms 74 x 32 bits
    assert written["computed_bytes"] == (384 + 256 + 240 + 104 + 32 + 74 * 32) / 8
    assert written["versions"]["torch"] == version("torch")


def test_a_float_plan_is_held_to_its_classes(subject: Subject, tmp_path: Path) -> None:
    plain = Subject(subject.model, subject.model_name, Plan(), subject.data)
    manifest = export_plan(plain, "onnx", tmp_path, WISHES)
    assert manifest.mode == "class"
    assert any("seq_blocks.2: its data is float32" in reason for reason in manifest.inexact)
    assert manifest.checks[0].differing_classes == 0


def test_an_artefact_that_differs_is_refused_unless_allowed(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = deliver_onnx.run_onnx

    def one_step_off(path: Path, inputs: Tensor, *, optimised: bool = True) -> np.ndarray:
        outputs = honest(path, inputs, optimised=optimised).copy()
        outputs[3, 2] += 0.25
        return outputs

    monkeypatch.setattr(deliver_onnx, "run_onnx", one_step_off)
    with pytest.raises(ExportError, match=r"1 of 5,000 output elements differ, by at most 0\.25"):
        export_plan(subject, "onnx", tmp_path, WISHES)
    kept = export_plan(subject, "onnx", tmp_path, Wishes(samples=1000, allow_mismatch=True))
    assert not kept.passed
    assert json.loads((tmp_path / "model.onnx.manifest.json").read_text())["differing_elements"] == 1


def test_one_wrong_weight_in_the_file_is_found(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = deliver_onnx.build_onnx

    def one_weight_off(*arguments: Any, **options: Any) -> OnnxFile:
        built = honest(*arguments, **options)
        held = next(t for t in built.model.graph.initializer if t.name.startswith("seq_blocks_8_weight"))
        values = numpy_helper.to_array(held).copy()
        values[0, 0] += 1
        held.CopyFrom(numpy_helper.from_array(values, held.name))
        return built

    monkeypatch.setattr(deliver_onnx, "build_onnx", one_weight_off)
    with pytest.raises(ExportError, match="output elements differ"):
        export_plan(subject, "onnx", tmp_path, WISHES)


def test_packed_weights_come_back_rounded(subject: Subject, tmp_path: Path) -> None:
    export_plan(subject, "safetensors", tmp_path, WISHES)
    loaded = load_compressed(tmp_path / "model.safetensors")
    weight = loaded.get_submodule("seq_blocks.2").weight
    assert isinstance(weight, Tensor)
    # three bits, two of them behind the point: -1, -0.75, ... 0.75
    assert set((weight * 4).flatten().tolist()) <= set(range(-4, 4))
    assert isinstance(loaded, nn.Module)
    assert not loaded.training
    program = lower(trace(subject.model, subject.data.test.inputs[:3]))
    wanted = own_outputs(program, subject.plan, subject.data.test.inputs[:500])
    with torch.no_grad():
        found = loaded(subject.data.test.inputs[:500]).numpy()
    np.testing.assert_array_equal(found, wanted)


def test_too_few_samples_and_unknown_kinds_are_refused(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="at least 1,000 samples, not 999"):
        export_plan(subject, "onnx", tmp_path, Wishes(samples=999))
    with pytest.raises(UnknownNameError, match=r"'onxx' \(did you mean 'onnx'\?\)"):
        export_plan(subject, "onxx", tmp_path)


def test_verilog_is_equal_in_the_simulator(subject: Subject, tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    manifest = export_plan(subject, "verilog", tmp_path, WISHES)
    assert manifest.passed
    assert [check.differing_elements for check in manifest.checks] == [0] * len(manifest.checks)
    assert "module network" in (tmp_path / "verilog" / "src" / "network.v").read_text()
