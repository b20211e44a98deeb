"""Functions that C has as tables: of one number, and softmax at the end of a network."""

from collections.abc import Callable
from fractions import Fraction
from math import exp
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.evaluate.definition import Definition
from narrower.export.device import deliver
from narrower.export.device.prepared_lines import NOTHING_SAID
from narrower.export.device.softmax import last_softmax, softmax_outputs, table_softmax
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan
from tests.export.device.agree import CHECKED, differing, for_all, lowered, needs_gcc, random_inputs

pytestmark = needs_gcc
FINE = LayerPlan(FixedPoint(8, 6), FixedPoint(5, 2), FixedPoint(8, 5))
FUNCTIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "gelu by tanh": lambda: nn.GELU(approximate="tanh"),
    "hardswish": nn.Hardswish,
    "mish": nn.Mish,
    "a slope for each channel": lambda: nn.PReLU(6),
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions_that_turn_back_are_tables(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), FUNCTIONS[name](), nn.Linear(6, 3))
    inputs = random_inputs(3000, 5) * 2
    program = lowered(model, inputs)
    count, _ = differing(program, for_all(program, FINE), inputs, tmp_path)
    assert count == 0


@pytest.fixture
def one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "builds", lambda *, sanitized: [] if sanitized else [CHECKED])


@pytest.mark.usefixtures("one_build")
@pytest.mark.parametrize("function", [nn.Tanh(), nn.Sigmoid()])
def test_a_bounded_function_at_the_end_reaches_its_ends(function: nn.Module, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), function)
    inputs = random_inputs(50, 3) * 40
    program = lowered(model, inputs)
    plan = for_all(program)
    outputs = Definition(program).outputs(plan, inputs).numpy()
    checks, _ = deliver.deliver_c(program, plan, "net", "size", NOTHING_SAID, inputs, outputs, tmp_path)
    assert outputs.max() > 1 - 2**-10  # the last step is one
    assert [check.differing_elements for check in checks] == [0]


def test_the_softmax_of_tables_is_that_of_exact_numbers() -> None:
    """Within half a step of 2**-16, and what the tables leave out."""
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32) * 5
    x[0] = [0, 0, 0, 0, 0, 3e38]
    x[1] = 7.25
    for row, steps in zip(x.tolist(), table_softmax(x, 1).tolist(), strict=True):
        parts = [Fraction(exp(max(value - max(row), -700.0))) for value in row]
        wanted = [float(part / sum(parts)) * 2**16 for part in parts]
        assert max(abs(one - other) for one, other in zip(wanted, steps, strict=True)) < 0.5001


@pytest.mark.usefixtures("one_build")
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 7), nn.Softmax(-1)), (5,)),
        (nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.Softmax(1)), (2, 6, 5)),
    ],
)
def test_c_gives_the_softmax_of_its_tables(model: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6)
    inputs: Tensor = random_inputs(100, *shape)
    program = lowered(model, inputs)
    plan = for_all(program)
    own = Definition(program).outputs(plan, inputs).numpy()
    checks, notes = deliver.deliver_c(program, plan, "net", "size", NOTHING_SAID, inputs, own, tmp_path)
    assert [check.differing_elements for check in checks] == [0]
    assert any("softmax is computed by tables: at most 7." in note for note in notes)  # half of 2**-16
    softmax = last_softmax(program)
    assert softmax is not None
    by_tables = softmax_outputs(program, softmax, plan, inputs) * 2.0**-16
    assert np.abs(by_tables - own).max() < 0.51 * 2**-16
    assert own.std() > 0.1
