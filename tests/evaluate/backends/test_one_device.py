"""Plans on a device: short memory, what is said of other bits, and that nothing is left on the CPU."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from narrower.data.datasets import DataSet
from narrower.errors import ModelError, SettingsError
from narrower.evaluate.backends.devices_here import resolved_device
from narrower.evaluate.backends.one_device import OneDevice
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.program_engine import ProgramEngine
from narrower.evaluate.steps import compile_steps
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality
from tests.products_zoo import MODELS as PRODUCTS
from tests.zoo import MODELS

PLANS = [Plan.of({"seq_blocks.2": LayerPlan(weight=FixedPoint(width, 1))}) for width in range(2, 9)]
FORMATS = [example for family in FAMILIES for example in family.examples]


class Small:
    """An engine whose device has room for a quarter of the samples at a time."""

    layers = ("a",)

    def __init__(self, halvings: int = -1, needed: int = 2) -> None:
        self.halvings, self.needed = halvings, needed

    def warm_up(self) -> None:
        pass

    def on(self, _device: str, halvings: int) -> "Small":
        return Small(halvings, self.needed)

    def score(self, plans: Sequence[Plan], _loss: bool) -> list[Quality]:
        if 0 <= self.halvings < self.needed:
            raise torch.OutOfMemoryError("no room")
        return [Quality(10, {"accuracy": 0.5 if self.halvings < 0 else 0.7}) for _ in plans]


def test_short_memory_halves_the_batch_and_is_said() -> None:
    said: list[str] = []
    device = OneDevice(BackendSettings("device"), said.append)
    device.start(Small())
    assert [quality.metrics["accuracy"] for quality in device.score(PLANS, False)] == [0.7] * len(PLANS)
    halved = "cpu: out of memory; going on with half as many samples at a time"
    assert said == [halved, halved, "cpu and cpu differ on 4 plans in accuracy by at most 0.2"]
    device.score(PLANS, False)
    assert len(said) == 3


def test_where_one_sample_does_not_fit_there_is_an_end() -> None:
    device = OneDevice(BackendSettings("device"), lambda _: None)
    device.start(Small(needed=100))
    with pytest.raises(ModelError, match="no memory for one sample"):
        device.score(PLANS, False)


def test_an_engine_that_moved_gives_the_same(jsc_toy_lowered: Program, jets: DataSet) -> None:
    engine = ProgramEngine(jsc_toy_lowered, jets.validation.first(500), 128, {}, 2**24)
    assert engine.on("cpu", 1).score(PLANS, True) == engine.score(PLANS, True)


@pytest.fixture(scope="module")
def elsewhere() -> str:
    """A device that PyTorch takes for one: its tensors hold no numbers, and mix with no others."""
    registration = pytest.importorskip("torch.utils.backend_registration")
    if not hasattr(registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch has no backends written in Python")
    if torch._C._get_privateuse1_backend_name() != "elsewhere":
        registration._setup_privateuseone_for_python_backend("elsewhere")
    return "elsewhere:0"


def empty(like: Tensor, device: str) -> Tensor:
    return torch.empty(like.shape, dtype=like.dtype, device=device)


@pytest.mark.parametrize("name", [*MODELS, *PRODUCTS])
def test_nothing_is_left_on_the_cpu(name: str, elsewhere: str) -> None:
    build, shape = {**MODELS, **PRODUCTS}[name]
    model, inputs = build().eval(), torch.randn(3, *shape)
    program = lower(trace(model, inputs, name))
    if program.untraced is not None:
        pytest.skip("has no graph")
    here = compile_steps(program)
    with FakeTensorMode():
        constants = {index: empty(value, elsewhere) for index, value in here.constants.items()}
        steps = replace(here, constants=constants).on(elsewhere)
        for text in FORMATS:
            formats = [parse_format(text)] * len(steps.slots)
            values = dict(steps.constants)
            values.update(zip(steps.batch_inputs, [empty(inputs, elsewhere)], strict=False))
            for index in range(len(steps.steps)):
                if index not in values:
                    values[index] = steps.run(index, values, formats)
            assert values[steps.output].device == torch.device(elsewhere)


def test_a_device_that_is_not_here_is_named() -> None:
    assert resolved_device("cpu") == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match=r"device: found 'cuda:1', which is not here; here: .*cpu"):
            resolved_device("cuda:1")
