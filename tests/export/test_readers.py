"""What hls4ml and FINN cannot hold is refused by name before anything is written."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.data.datasets import DataSet
from narrower.errors import ExportError, UnknownNameError
from narrower.export.deliver import export_plan
from narrower.export.readers import check_reader
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan

SIX = FixedPoint(6, 3)
SIGNED, UNSIGNED = LayerPlan(SIX, SIX, SIX), LayerPlan(FixedPoint(6, 3, signed=False), SIX, SIX)
FITS = {"0": SIGNED, "2": UNSIGNED}


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


def checked(model: nn.Module, layers: dict[str, LayerPlan], reader: str, *shape: int) -> None:
    program = lower(trace(model, torch.randn(3, *shape), "net"))
    check_reader(program, Plan.of(layers), reader)


@pytest.mark.parametrize("reader", ["hls4ml", "finn"])
def test_a_plan_that_fits_is_taken(reader: str) -> None:
    checked(dense(), FITS, reader, 6)


@pytest.mark.parametrize(
    ("layer", "changed", "said"),
    [
        ("2", replace(UNSIGNED, data=SIX), "2: its data is fixed(6,frac=3): behind a ReLU"),
        ("0", replace(SIGNED, data=FixedPoint(6, 3, signed=False)), "unsigned numbers behind a ReLU alone"),
        (
            "0",
            replace(SIGNED, data=FixedPoint(12, 3)),
            "0: its data is fixed(12,frac=3): FINN makes thresholds",
        ),
        ("0", replace(SIGNED, data=FixedPoint(6, 3, rounding="floor")), "FINN rounds to the nearest"),
        ("0", replace(SIGNED, data=FLOAT32), "0: its data is float32"),
        ("2", replace(UNSIGNED, weight=FLOAT32), "2: its weight is float32"),
    ],
)
def test_formats_are_refused_for_finn(layer: str, changed: LayerPlan, said: str) -> None:
    with pytest.raises(ExportError, match="finn cannot hold this plan: ") as refused:
        checked(dense(), {**FITS, layer: changed}, "finn", 6)
    assert said in str(refused.value)


def test_weights_without_one_grid_are_refused_for_hls4ml() -> None:
    with pytest.raises(ExportError, match=r"hls4ml cannot hold this plan: 0: its weight is affine"):
        checked(dense(), {**FITS, "0": replace(SIGNED, weight=Affine(4))}, "hls4ml", 6)


def test_operators_and_groups_are_refused_by_name() -> None:
    class Rooted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(torch.relu(self.layer(x)))

    for reader in ("hls4ml", "finn"):
        with pytest.raises(ExportError, match="the operator Sqrt: "):
            checked(Rooted().eval(), {"layer": SIGNED}, reader, 6)
    with pytest.raises(ExportError, match=re.escape("0: hls4ml 1.3 reads no convolution in groups")):
        checked(nn.Sequential(nn.Conv2d(2, 4, 2, groups=2)).eval(), {"0": SIGNED}, "hls4ml", 2, 4, 4)


def test_an_unknown_reader_and_another_kind_are_refused(
    jets: DataSet, jsc_toy: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="hls4ml"):
        checked(dense(), FITS, "hls4m", 6)
    subject = Subject(jsc_toy, "jsc-toy", Plan(), jets)
    with pytest.raises(ExportError, match="--for finn is for QONNX"):
        export_plan(subject, "c", tmp_path, Wishes(samples=1000, reader="finn"))


def test_the_form_for_hls4ml_lies_beside_the_model(jets: DataSet, jsc_toy: nn.Module, tmp_path: Path) -> None:
    plan = Plan.of({f"seq_blocks.{n}": SIGNED for n in (2, 5, 8)})
    subject = Subject(jsc_toy, "jsc-toy", plan, jets)
    manifest = export_plan(subject, "qonnx", tmp_path, Wishes(samples=1000, reader="hls4ml"))
    assert manifest.passed
    assert (tmp_path / "model.hls4ml.onnx").is_file()
    assert any("model.hls4ml.onnx" in note for note in manifest.notes)
