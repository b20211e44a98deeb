"""What ``load_compressed`` gives computes what the search scored, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from narrower.data.datasets import DataSet, Part, load_data_set
from narrower.errors import CheckpointError, UnknownNameError
from narrower.evaluate.deployed import Deployed
from narrower.evaluate.evaluator import Evaluator
from narrower.export.compressed import check_plan, load_compressed, save_compressed, save_packed
from narrower.graph.called_modules import trace_or_call
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.models.build import build_model
from narrower.models.catalogue import MODELS
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize
from narrower.transform.resized import resize
from tests import computed_zoo, zoo
from tests.conftest import with_statistics
from tests.evaluate.test_evaluator import random_plans

EIGHT, FOUR = FixedPoint(8, 4), FixedPoint(4, 2)
FILE = Path("m.safetensors")


def scored(model: nn.Module | Program, plan: Plan, inputs: Tensor, batch_size: int) -> Tensor:
    """The outputs of the engine, which its own tests compare with the definition."""
    program = model if isinstance(model, Program) else lower(trace_or_call(model, inputs[:3]))
    part = Part(inputs, torch.zeros(len(inputs), dtype=torch.long))
    return Evaluator(program, part, batch_size=batch_size).outputs(plan.formats, inputs)


def called(module: nn.Module, inputs: Tensor, batch_size: int) -> Tensor:
    with torch.inference_mode():
        return torch.cat([module(batch) for batch in torch.split(inputs, batch_size)])


def check(
    model: nn.Module, name: str, inputs: Tensor, batch_size: int = 16, plan: Plan | None = None
) -> nn.Module:
    """Write a model in either form with a plan, load it, and compare; returns the last one.

    Without a plan: with all operands in 8 bits, and with some drawn at random, some of them float32.
    """
    program = lower(trace_or_call(model, inputs[:3]))
    uniform = Plan.of(dict.fromkeys(program.network.product_layers, LayerPlan(EIGHT, EIGHT, EIGHT)))
    (drawn,) = random_plans(program.network, 1, seed=4)
    for save, chosen in ((save_packed, plan or uniform), (save_compressed, plan or drawn)):
        save(model, name, chosen, FILE, [inputs[:3]])
        loaded = load_compressed(FILE, model if ":" in name else None)
        assert isinstance(loaded, Deployed)
        assert not loaded.training
        assert torch.equal(called(loaded, inputs, batch_size), scored(program, chosen, inputs, batch_size))
    return loaded


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "vgg7")) for name in sorted(MODELS)]
)
def test_every_model_of_the_program(name: str) -> None:
    data = load_data_set(MODELS[name].data_set)
    model = with_statistics(build_model(name, sizes=data.sizes), data.train.inputs[:16])
    check(model, name, data.test.inputs[:9], batch_size=4)


@pytest.mark.parametrize("name", ["jsc-toy", "resnet20"])
def test_folded_batch_norms(name: str) -> None:
    data = load_data_set(MODELS[name].data_set)
    model = with_statistics(build_model(name, sizes=data.sizes), data.train.inputs[:64])
    folded = fold_batch_norm(model, data.train.inputs[:3])
    check(folded, name, data.test.inputs[:40])


def test_other_widths(jsc_toy: nn.Module, jets: DataSet) -> None:
    inputs = jets.test.inputs[:200]
    widths = {"seq_blocks.2": 0.5, "seq_blocks.5": 2.0}
    narrow = resize(jsc_toy, inputs[:3], widths)
    plan = Plan.of({layer: LayerPlan(EIGHT, FOUR, EIGHT, width) for layer, width in widths.items()})
    loaded = check(narrow, "jsc-toy", inputs, 128, plan)
    assert loaded.get_submodule("seq_blocks.2").weight.shape == (4, 16)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", zoo.MODELS)
def test_models_of_many_shapes(name: str) -> None:
    model, inputs = zoo.build(name)
    check(model, "mine:model", inputs, batch_size=7)


@pytest.mark.parametrize("form", computed_zoo.FORMS)
def test_computed_weights(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    check(model, "mine:model", inputs, batch_size=7)


class Tied(nn.Module):
    """Ids are looked up in the matrix that scores them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids).mean(dim=1))


def test_a_tied_weight_is_rounded_wherever_it_is_read_and_kept_once() -> None:
    torch.manual_seed(0)
    model, ids = Tied().eval(), torch.randint(0, 9, (30, 5))
    (layer,) = trace_or_call(model, ids[:3]).network.product_layers
    loaded = check(model, "mine:model", ids, plan=Plan.of({layer: LayerPlan(weight=FOUR)}))
    (held,) = loaded.state_dict().values()
    assert torch.equal(held, quantize(model.head.weight, FOUR))
    assert not torch.equal(held, model.head.weight)


def test_a_model_that_cannot_be_traced_is_called_as_it_is_scored() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return self.last(y if float(y.sum()) > 0 else -y)

    torch.manual_seed(0)
    model, inputs = Branching().eval(), torch.randn(40, 6)
    plan = Plan.of({"first": LayerPlan(EIGHT, FOUR, EIGHT), "last": LayerPlan(FOUR, FOUR)})
    for save in (save_compressed, save_packed):
        save(model, "mine:model", plan, FILE, [inputs[:3]])
        assert torch.equal(called(load_compressed(FILE, model), inputs, 16), scored(model, plan, inputs, 16))


@pytest.fixture
def written(jsc_toy: nn.Module, jets: DataSet) -> Callable[[], nn.Module]:
    plan = Plan.of({"seq_blocks.2": LayerPlan(EIGHT, FOUR, EIGHT)})
    save_compressed(jsc_toy, "jsc-toy", plan, FILE, [jets.train.inputs[:3]])
    return lambda: load_compressed(FILE)


def test_its_state_is_saved_and_loaded_like_that_of_any_module(
    written: Callable[[], nn.Module], jets: DataSet
) -> None:
    first, second = written(), written()
    save_file(first.state_dict(), "state.safetensors")
    with torch.no_grad():
        for tensor in second.state_dict().values():
            tensor.zero_()
    assert not torch.equal(first(jets.test.inputs[:9]), second(jets.test.inputs[:9]))
    second.load_state_dict(load_file("state.safetensors"))
    assert torch.equal(first(jets.test.inputs[:9]), second(jets.test.inputs[:9]))
    assert {"seq_blocks.0.scale", "seq_blocks.0.shift", "seq_blocks.5.bias"} <= set(first.state_dict())
    weight = first.state_dict()["seq_blocks.2.weight"]
    assert set((weight * 4).flatten().tolist()) <= set(range(-8, 8))  # 4 bits, 2 of them behind the point


def test_it_takes_any_number_of_samples_and_has_one_mode(
    written: Callable[[], nn.Module], jets: DataSet
) -> None:
    module = written()
    for count in (1, 2, 57):
        assert module(jets.test.inputs[:count]).shape == (count, 5)
    scores = module(jets.test.inputs[:57])
    assert torch.equal(module.train()(jets.test.inputs[:57]), scores)
    assert torch.equal(module.eval()(jets.test.inputs[:57]), scores)


def test_it_can_be_exported_with_an_open_batch(written: Callable[[], nn.Module], jets: DataSet) -> None:
    module, inputs = written(), jets.test.inputs
    exported = torch.export.export(
        module, (inputs[:3],), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    assert torch.equal(exported(inputs[:99]), module(inputs[:99]))


def test_a_file_that_does_not_say_what_the_model_takes_is_lowered_at_the_first_call(
    jsc_toy: nn.Module, jets: DataSet
) -> None:
    plan = Plan.of({"seq_blocks.2": LayerPlan(EIGHT, FOUR, EIGHT)})
    save_compressed(jsc_toy, "jsc-toy", plan, FILE)
    wanted = scored(jsc_toy, plan, jets.test.inputs[:64], 64)
    assert torch.equal(load_compressed(FILE)(jets.test.inputs[:64]), wanted)
    known = load_compressed(FILE, example=jets.test.inputs[:2])
    assert isinstance(known, Deployed)
    assert torch.equal(known(jets.test.inputs[:64]), wanted)


def test_a_note_that_nobody_can_mean_is_passed_over(jsc_toy: nn.Module, jets: DataSet) -> None:
    save_compressed(jsc_toy, "jsc-toy", Plan(), FILE)
    tensors = load_file(FILE)
    notes = ("[", "{}", '[{"shape": [99999999999], "type": "float32"}]', '[{"shape": [16], "type": "os"}]')
    for note in notes:
        metadata = {"narrower.model": "jsc-toy", "narrower.plan": "{}", "narrower.arguments": note}
        save_file(tensors, FILE, metadata)
        assert load_compressed(FILE)(jets.test.inputs[:3]).shape == (3, 5)


def test_a_plan_that_does_not_fit_is_an_error(jsc_toy: nn.Module, jets: DataSet) -> None:
    plan = Plan.of({"seq_blocks.1": LayerPlan(weight=FOUR)})
    save_compressed(jsc_toy, "jsc-toy", plan, FILE, [jets.train.inputs[:3]])
    with pytest.raises(CheckpointError, match=r"seq_blocks\.1"):
        load_compressed(FILE)
    with pytest.raises(UnknownNameError, match=r"seq_blocks\.1"):
        check_plan(jsc_toy, plan, [jets.train.inputs[:3]])
