"""Learned networks with convolutions as logic: every output is the deployed network's, in Verilator too."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.errors import ExportError
from narrower.evaluate.definition import Definition
from narrower.export.deliver import export_plan
from narrower.export.luts import luts
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan
from narrower.preparation.learning.programs.freeze import freeze
from narrower.preparation.learning.programs.learned_program import LearnedProgram
from narrower.preparation.learning.programs.operands import operands_of
from narrower.preparation.learning.programs.start import start
from narrower.preparation.learning.settings import LearnSettings
from tests.preparation.learning.programs.networks import Attending, Convolutional, images


class Pooled(nn.Module):
    """Strides, dilation, max pooling, a bias, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 2, stride=1, padding=1), nn.Conv2d(3, 2, 2, dilation=1)
        self.last = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.first(x).relu(), 2)
        y: Tensor = self.last(self.second(x).relu().flatten(1))
        return y


def frozen(kind: type[nn.Module], bits: int, granularity: str = "weight") -> tuple[Program, Plan, Tensor]:
    """A deployed network whose weights have random widths, some none; data saturate and some are signed."""
    data = images(300)
    torch.manual_seed(0)
    program = lower(trace(kind().eval(), data.examples[0]))
    learned = LearnedProgram(program, operands_of(program, granularity))  # type: ignore[arg-type]
    start(learned, LearnSettings(first_bits=bits), data.train.arguments)
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in learned.coefficients:
            each.bits.copy_(
                torch.randint(int(granularity != "weight"), bits + 1, each.about.widths, generator=chance)
            )
    some = freeze(learned, [argument[:40] for argument in data.train.arguments], 12)  # the rest may saturate
    return some.program(program), some.plan, data.test.inputs


@pytest.mark.parametrize("granularity", ["weight", "channel", "tensor"])
@pytest.mark.parametrize(("kind", "bits"), [(Convolutional, 4), (Pooled, 5)])
def test_logic_computes_what_is_deployed(kind: type[nn.Module], bits: int, granularity: str) -> None:
    pytest.importorskip("da4ml")
    from narrower.export.learned_program_logic import ProgramLogic
    from narrower.export.logic import run_logic

    program, plan, inputs = frozen(kind, bits, granularity)
    with torch.no_grad():
        outputs = Definition(program).outputs(plan, 2 * inputs).numpy()
    assert np.ptp(outputs, axis=0).min() > 0
    logic = ProgramLogic(program, plan)
    steps = run_logic(logic.logic, logic.fed(2 * inputs))
    np.testing.assert_array_equal(np.ldexp(steps.astype(np.float64), -logic.fraction), outputs)
    assert logic.luts == luts(program, plan, outputs) > 0


def test_verilator_computes_the_same_and_the_gate_sees_it(tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    if shutil.which("verilator") is None:
        pytest.skip("needs Verilator")
    program, plan, _ = frozen(Pooled, 2)
    torch.manual_seed(0)
    model = Pooled()
    state = {name: program.tensors[node] for node, name in program.parameter_names.items()}
    model.load_state_dict(state)
    subject = Subject(model.eval(), "pooled", plan, images(6000), 0)
    manifest = export_plan(subject, "verilog", tmp_path, Wishes(samples=1000))
    assert manifest.passed
    assert [check.runtime for check in manifest.checks] == ["Verilator", "da4ml interpreter"]
    assert all(check.differing_elements == 0 for check in manifest.checks)


def test_operators_without_logic_are_named() -> None:
    from narrower.export.check_learned_program import check_program

    program, plan, _ = frozen(Attending, 4)
    with pytest.raises(ExportError, match=r"no logic for the operators .*softmax"):
        check_program(program, plan)


def test_formats_that_were_not_learned_and_large_networks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from narrower.export import check_learned_program

    program, plan, _ = frozen(Pooled, 4)
    with pytest.raises(ExportError, match="first, second, last: others"):
        check_learned_program.check_program(program, Plan())
    monkeypatch.setattr(check_learned_program, "MOST_MACS", 10)
    with pytest.raises(ExportError, match=r"multiplies .* times for a sample"):
        check_learned_program.check_program(program, plan)
