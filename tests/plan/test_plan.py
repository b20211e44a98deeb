"""Plans are values, in every process."""

import os
import pickle
import subprocess
import sys

import pytest

from narrower.errors import SettingsError
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan, plan_from_dict, plan_to_dict

PLAN = Plan.of({"b": LayerPlan(weight=FixedPoint(4, 2)), "a": LayerPlan(data=FixedPoint(8, 4), width=0.5)})


def test_a_plan_from_another_process_is_found_among_equal_ones() -> None:
    # texts have other hashes there
    program = (
        "import pickle, sys; from tests.plan.test_plan import PLAN; "
        "sys.stdout.buffer.write(pickle.dumps(PLAN))"
    )
    found = [
        pickle.loads(
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert {PLAN: "known"} | dict.fromkeys(found, "known") == {PLAN: "known"}
    assert dict(found[0].layers)["a"] in {LayerPlan(data=FixedPoint(8, 4), width=0.5)}


def test_data_whose_scale_would_follow_from_the_samples_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"plan\.a\.data: found 'affine\(8\)'.*scale that is given"):
        plan_from_dict({"a": {"data": "affine(8)"}})
    assert plan_from_dict({"a": {"weight": "affine(8)"}}).layer("a").weight.text == "affine(8)"


def test_what_a_layer_writes_is_read_back_from_the_form_in_files() -> None:
    plan = Plan.of(
        {
            "add": LayerPlan(output=FixedPoint(8, 5, signed=False)),
            "conv": LayerPlan(weight=FixedPoint(4, 3), output=FixedPoint(6, 2), width=0.5),
        }
    )
    table = plan_to_dict(plan)
    assert table == {
        "add": {"output": "ufixed(8,frac=5)"},
        "conv": {"weight": "fixed(4,frac=3)", "output": "fixed(6,frac=2)", "width": 0.5},
    }
    assert plan_from_dict(table) == plan
    assert plan.formats.outputs == plan.outputs == {
        "add": FixedPoint(8, 5, signed=False),
        "conv": FixedPoint(6, 2),
    }  # fmt: skip
    assert plan.formats.widths == {}
    with pytest.raises(SettingsError, match="need a scale that is given"):
        plan_from_dict({"add": {"output": "affine(8)"}})
