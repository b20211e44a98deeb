"""Plans whose values are stacked, as on a device, have the outputs that each has alone."""

import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.evaluate.backends.one_device import OneDevice
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.graph_engine import GraphEngine
from narrower.evaluate.program_engine import HALVINGS_OF_PLANS, PLANS_AT_ONCE, ProgramEngine
from narrower.evaluate.stacked_plans import StackedPlans
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from tests import products_zoo, zoo

FIXED = [FixedPoint(width, fraction) for width, fraction in ((8, 4), (6, 3), (4, 2))]
EVERY = [parse_format(next(iter(family.examples))) for family in FAMILIES]
OF_ONE_WEIGHT = (FixedChannels, FixedEach)
OF_WEIGHTS = [*FIXED, FLOAT32, *(each for each in EVERY if not isinstance(each, OF_ONE_WEIGHT))]
MODELS = [(models, name) for models in (zoo, products_zoo) for name in models.MODELS]


def lowered(models: object, name: str) -> tuple[Program, Tensor]:
    torch.manual_seed(0)
    model, inputs = models.build(name)  # type: ignore[attr-defined]
    return lower(trace(model, inputs[:3], name)), inputs


@pytest.mark.parametrize(("models", "name"), MODELS, ids=[name for _, name in MODELS])
def test_each_plan_of_a_stack_has_its_own_outputs(models: object, name: str) -> None:
    program, inputs = lowered(models, name)
    if program.untraced is not None:
        pytest.skip("it has no graph")
    steps, chance = compile_steps(program), random.Random(0)
    choices = [OF_WEIGHTS if operand == "weight" else FIXED for _, operand in steps.slots]
    plans = [tuple(map(chance.choice, choices)) for _ in range(5)]
    plans.append(plans[2])
    stacked = StackedPlans(steps, ValueCache(2**24))
    with torch.inference_mode():
        for found, formats in zip(stacked.outputs([inputs], plans), plans, strict=True):
            torch.testing.assert_close(found, alone(steps, inputs, formats), rtol=1e-4, atol=1e-5)


def alone(steps: Steps, inputs: Tensor, formats: Sequence[object]) -> Tensor:
    """Step after step; nothing is shared, held or written over."""
    values = {**steps.constants, steps.batch_inputs[0]: inputs}
    for index in range(steps.output + 1):
        if index not in values:
            step = steps.steps[index]
            plain = step.slot is None and step.inside is None
            values[index] = steps.called(index, values) if plain else steps.run(index, values, formats)  # type: ignore[arg-type]
    return values[steps.output]


def test_what_plans_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    program, inputs = lowered(zoo, "concatenated")
    steps = compile_steps(program)
    products: list[int] = []
    called = StackedPlans._values

    def counted(self: StackedPlans, index: int, *rest: object) -> object:
        if "linear" in steps.steps[index].name and steps.steps[index].slot is None:
            products.append(len(rest[2]))  # type: ignore[arg-type]
        return called(self, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(StackedPlans, "_values", counted)
    base = [FIXED[0]] * len(steps.slots)
    last = next(n for n, (layer, operand) in enumerate(steps.slots) if (layer, operand) == ("head", "weight"))
    plans = [(*base[:last], number_format, *base[last + 1 :]) for number_format in FIXED]
    with torch.inference_mode():
        StackedPlans(steps, ValueCache(2**20)).outputs([inputs], plans)
    assert products == [1, 1, 1, 3]  # left, right, middle, head


def engines(plans_at_once: int, cache_bytes: int = 2**26) -> tuple[GraphEngine, list[Plan]]:
    program, inputs = lowered(zoo, "residual")
    part = Part(inputs, torch.arange(len(inputs)) % 5)
    chance = random.Random(1)
    plans = [
        Plan.of(
            {
                layer: LayerPlan(*(chance.choice(FIXED) for _ in range(3)))
                for layer in program.network.product_layers
            }
        )
        for _ in range(20)
    ]
    steps = compile_steps(program)
    return GraphEngine(steps, part, 16, cache_bytes, 4 * 8 * 64, plans_at_once=plans_at_once), plans


@pytest.mark.parametrize("plans_at_once", [2, 7, 64])
def test_an_engine_that_stacks_gives_the_qualities_of_one_that_does_not(plans_at_once: int) -> None:
    engine, plans = engines(plans_at_once)
    wanted = engines(1)[0].score(plans, loss=True, own={})
    for found, quality in zip(engine.score(plans, loss=True, own={}), wanted, strict=True):
        assert found.metrics["accuracy"] == quality.metrics["accuracy"]
        assert found.metrics["loss"] == pytest.approx(quality.metrics["loss"], abs=1e-4)


def test_little_memory_stacks_fewer_plans() -> None:
    assert engines(64, 2**30)[0]._plans_at_once == 64
    assert 1 < engines(64, 2**21)[0]._plans_at_once < 64
    assert engines(64, 0)[0]._plans_at_once == 1


def test_a_plan_that_goes_wrong_in_a_stack_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, plans = engines(8)
    bad = plans[3]
    rounded = StackedPlans._rounded

    def raising(self: StackedPlans, *rest: object) -> Tensor:
        raise ValueError("no stack")

    monkeypatch.setattr(StackedPlans, "_rounded", raising)
    run = Steps.run

    def run_or_raise(self: Steps, index: int, values: object, formats: object) -> object:
        if formats == engine._formats(bad):
            raise ValueError("this plan")
        return run(self, index, values, formats)  # type: ignore[arg-type]

    monkeypatch.setattr(Steps, "run", run_or_raise)
    found = engine.score(plans, loss=False, own={})
    assert [quality.failure is not None for quality in found] == [plan == bad for plan in plans]
    monkeypatch.setattr(StackedPlans, "_rounded", rounded)


def test_short_memory_halves_the_plans_and_then_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    program, inputs = lowered(zoo, "residual")
    part = Part(inputs, torch.arange(len(inputs)) % 5)
    _, plans = engines(1)
    engine = ProgramEngine(program, part, 16, {}, 2**28)
    wanted = engine.score(plans, loss=False)
    outputs, visited, said = StackedPlans.outputs, list[tuple[int, int]](), list[str]()

    def small(self: StackedPlans, arguments: Sequence[Tensor], formats: Sequence[object]) -> list[Tensor]:
        visited.append((len(formats), len(arguments[0])))
        if len(formats) > 4:
            raise torch.OutOfMemoryError("no room")
        return outputs(self, arguments, formats)  # type: ignore[arg-type]

    monkeypatch.setattr(StackedPlans, "outputs", small)
    device = OneDevice(BackendSettings("device", device="cpu"), said.append)
    device.start(engine)
    found = device.score(plans, False)
    assert [quality.metrics for quality in found] == [quality.metrics for quality in wanted]
    assert [count for count, _ in visited[:5]] == [20, 20, 16, 8, 4]  # of 64, 32, 16, 8 and 4 at most
    assert said.count("cpu: out of memory; going on with half as much at a time") == 4
    halved = engine.on("cpu", HALVINGS_OF_PLANS + 2)._state
    assert (halved.plans_at_once, halved.batch_size) == (1, 4)
    assert engine.on("cpu", 1)._state.plans_at_once == PLANS_AT_ONCE // 2
