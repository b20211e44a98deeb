"""A plan is exported as C together with what compilers say of it."""

import json
import subprocess
from pathlib import Path

import torch
from torch import nn

from narrower.data.datasets import DataSet
from narrower.export.deliver import export_plan
from narrower.export.device.compiled import WARNINGS, builds
from narrower.export.device.deliver import unevenly_scaled
from narrower.export.subject import Subject, Wishes
from narrower.models.build import build_model
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.sign_only import Binary
from narrower.plan.plan import LayerPlan, Plan
from tests.export.device.agree import lowered, needs_gcc

pytestmark = needs_gcc


def test_every_build_gives_what_was_scored(jets: DataSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model("jsc-toy")
    with torch.no_grad():
        model.train()(jets.train.inputs[:500])
    layer = LayerPlan(FixedPoint(8, 4), FixedPoint(3, 2), FixedPoint(8, 4))
    plan = Plan.of({f"seq_blocks.{n}": layer for n in (2, 5, 8)})
    manifest = export_plan(
        Subject(model.eval(), "jsc-toy", plan, jets, 7), "c", tmp_path, Wishes(samples=1000)
    )
    assert manifest.mode == "exact"
    assert len(manifest.checks) == len(builds(sanitized=False)) + len(builds(sanitized=True))
    assert all(check.differing_elements == 0 for check in manifest.checks)
    written = json.loads((tmp_path / "c.manifest.json").read_text())
    files = [tmp_path / "c" / f"jsc_toy.{end}" for end in "hc"]
    assert written["bytes_on_disk"] == sum(file.stat().st_size for file in files)
    header = files[0].read_text()
    for name in jets.output_names:
        assert f'"{name}"' in header
    # The header stands alone, and another compiler's strictest reading of both takes no offence.
    alone = [
        "gcc",
        *WARNINGS,
        "-Wconversion",
        "-Wno-sign-conversion",
        "-fsyntax-only",
        "-x",
        "c",
        str(files[0]),
    ]
    subprocess.run(alone, check=True)


def test_layers_whose_scales_are_no_powers_of_two_are_named() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    program = lowered(model, torch.randn(3, 6))
    eight = FixedPoint(8, 4)
    even = Affine(4, per="channel", scales="power_of_two")
    weights = {"0": even, "2": Affine(4, per="channel"), "4": Binary()}
    plan = Plan.of({name: LayerPlan(eight, weight, eight) for name, weight in weights.items()})
    assert unevenly_scaled(program, plan) == ("2", "4")
