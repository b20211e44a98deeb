"""One layer rounded at a time, against networks that are rounded by hand, and the order that follows."""

import json
from math import isclose, log10
from pathlib import Path

import pytest
import torch
from torch import Tensor

from narrower.data.datasets import load_data_set
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.plan.formats.text import parse_format
from narrower.report.layer_sensitivity import Measured, losing_order
from narrower.transform.quantizers.quantize import quantize
from tests.conftest import RunNarrower

TOY = ("sensitivity", "jsc-toy", "jets", "--samples", "500")


def test_the_numbers_are_those_of_a_network_with_one_layer_rounded(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    code, out, err = run_narrower(
        *TOY,
        "--load",
        trained,
        "--widths",
        "8,3",
        "--format",
        "mxfp4",
        "--plot",
        tmp_path / "a.png",
        "--json",
    )
    assert code == 0, err
    assert (tmp_path / "a.png").stat().st_size > 5000
    found = json.loads(out)
    assert found["formats"] == ["8", "3", "mxfp4"]
    assert len(found["measured"]) == 3 * 3 * 3  # layers, what is rounded, formats
    data = load_data_set("jets")
    model = load_weights(build_model("jsc-toy", sizes=data.sizes), trained).eval()
    x, targets = data.validation.inputs[:500], data.validation.targets[:500]
    with torch.no_grad():
        exact = model(x)
        layer = model.get_submodule("seq_blocks.5")
        mx = parse_format("mxfp4")
        original = layer.weight.clone()

        def check(rounded: str) -> None:
            outputs = model(x)
            (row,) = [
                m
                for m in found["measured"]
                if (m["layer"], m["rounded"], m["format"]) == ("seq_blocks.5", rounded, "mxfp4")
            ]
            accuracy = (outputs.argmax(1) == targets).float().mean().item()
            assert isclose(row["metrics"]["accuracy"], accuracy, abs_tol=0.005)
            sqnr = 10 * log10(exact.square().sum() / (outputs - exact).square().sum())
            assert isclose(row["sqnr_db"], sqnr, abs_tol=0.05)
            loss = torch.nn.functional.cross_entropy(outputs, targets).item()
            assert isclose(row["metrics"]["loss"], loss, abs_tol=1e-4)
            assert isclose(row["added_loss"], row["metrics"]["loss"] - found["float32"]["loss"], abs_tol=1e-9)

        layer.weight.copy_(quantize(original, mx))
        check("weight")

        def round_data(_module: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (quantize(inputs[0], mx),)

        layer.register_forward_pre_hook(round_data)
        check("both")
        layer.weight.copy_(original)
        check("data")


def measured(layer: str, name: str, bitops: int, loss: float, rounded: str = "both") -> Measured:
    return Measured(layer, rounded, name, 8, {}, loss, 10.0, bitops)


def test_layers_lose_bits_where_a_bit_operation_costs_least_loss() -> None:
    """By hand: a goes 8 -> 4 (0.1 for 50), then 4 -> 2 (0.9 for 30); b 8 -> 2 at once (0.3 for 60)."""
    found = [
        *(measured("a", "8", 100, 0.0), measured("a", "4", 50, 0.1), measured("a", "2", 20, 1.0)),
        *(measured("b", "8", 80, 0.0), measured("b", "4", 60, 0.25), measured("b", "2", 20, 0.3)),
        measured("b", "2", 1, -5.0, "weight"),  # of weights alone: not looked at
    ]
    steps = [(step.layer, step.before, step.after) for step in losing_order(found)]
    assert steps == [("a", "8", "4"), ("b", "8", "2"), ("a", "4", "2")]
    assert [step.saved_bitops for step in losing_order(found)] == [50, 60, 30]


def test_a_format_that_is_dearer_and_no_better_is_no_start() -> None:
    found = [measured("a", "8", 100, 0.2), measured("a", "6", 70, 0.1), measured("a", "4", 50, 0.3)]
    assert [(step.before, step.after) for step in losing_order(found)] == [("6", "4")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--widths", "8,x"), "whole numbers from 1 to 32"),
        (("--widths", "33"), "whole numbers from 1 to 32"),
        (("--format", "mxfp5"), "did you mean 'mxfp"),
        (("--format", "affine"), "allowed: "),
        (("--plot", "a.txt"), ".png, .svg, .pdf"),
    ],
)
def test_what_cannot_be_measured_is_named(
    run_narrower: RunNarrower, trained: Path, options: tuple[str, ...], said: str
) -> None:
    code, _, err = run_narrower(*TOY, "--load", trained, *options)
    assert (code, said in err) == (2, True), err
