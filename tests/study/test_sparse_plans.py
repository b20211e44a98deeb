"""A share of zeros as one more choice of a plan: scored, priced, trained, delivered."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from torch import nn

import narrower
from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.export.compressed import load_parts, save_packed
from narrower.export.onnx_model import Dialect, to_onnx
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.sparse import Sparse
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.settings import RetrainedSettings
from narrower.training.many import train_all, train_in_formats
from narrower.training.recipe import Recipe

RECIPE = Recipe(max_epochs=2, batch_size=50, learning_rate=0.01)
SPACE = {
    "0": {"data": [6], "weight": [4], "weight_sparsity": [0, 0.5, "2:4"]},
    "2": {"data": [6], "weight": [4, 6], "weight_sparsity": [0.75, 0]},
}


def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(500) % 3
    inputs = torch.randn(500, 8, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 300), slice(300, 400), slice(400, 500))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


SPARSE = Plan.of(
    {
        "0": LayerPlan(FixedPoint(6, 3), Sparse(4, 3, 50, group=4)),
        "2": LayerPlan(FixedPoint(6, 3), Sparse(5, 4, 75)),
    }
)


def test_the_engine_scores_the_masked_network() -> None:
    model, data = network(), blobs()
    program = lower(trace(model, data.train.inputs[:3]))
    x = FixedPoint(6, 3)
    with torch.no_grad():
        first, last = model[0].weight.clone(), model[2].weight.clone()  # type: ignore[union-attr,operator]
        for row in first.view(-1, 4):  # 2:4 by hand
            row[row.abs().argsort()[:2]] = 0
        flat = last.view(-1)
        flat[flat.abs().argsort()[: 36 - 9]] = 0
        steps = lambda t, width, frac: (  # noqa: E731
            (t * 2**frac).round().clamp(-(2 ** (width - 1)), 2 ** (width - 1) - 1) / 2**frac
        )
        hidden = steps(data.test.inputs, x.width, x.frac) @ steps(first, 4, 3).T + model[0].bias
        wanted = steps(hidden.relu(), x.width, x.frac) @ steps(last, 5, 4).T + model[2].bias  # type: ignore[operator]
    found = Evaluator(program, data.test).outputs(SPARSE, data.test.inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_zeros_cost_no_operations_and_only_their_place_in_memory() -> None:
    network_of = lower(trace(network(), blobs().train.inputs[:3])).network
    dense = Plan.of((name, LayerPlan(own.data, own.weight.values)) for name, own in SPARSE.layers)  # type: ignore[union-attr]
    cost = NetworkCost(network_of)
    sparse, whole = cost.of(SPARSE), cost.of(dense)
    assert whole["bitops"] == 96 * 6 * 4 + 36 * 6 * 5
    assert sparse["bitops"] == 48 * 6 * 4 + 9 * 6 * 5
    assert sparse["energy"] < whole["energy"]
    assert sparse["macs"] == whole["macs"] == 96 + 36  # what a dense kernel computes, stated in the docs
    assert sparse["flops"] == whole["flops"] > 2 * (96 + 36)
    saved = (96 * 4 - (48 * 4 + 48 * 2)) + (36 * 5 - (9 * 5 + 36))
    assert whole["model_size"] - sparse["model_size"] == saved / 8
    assert sparse["average_bitwidth"] < whole["average_bitwidth"]


def test_a_search_chooses_the_share_of_zeros(tmp_path: Path) -> None:
    found = narrower.search(network(), blobs(), SPACE, ["accuracy", "bitops"], directory=tmp_path / "run")
    assert found.record.summary.space_size == 3 * 4
    texts = {member.plan["0"]["weight"] for member in found.record.members}
    assert any(str(text).startswith("sparse(4,") for text in texts)
    cheapest = min(found.record.members, key=lambda member: member.metrics["bitops"])
    assert str(cheapest.plan["2"]["weight"]).startswith("sparse(4,")
    record = narrower.finetune(found, RECIPE)
    member = next(each for each in record.front if each.weights)
    model = narrower.load_compressed(tmp_path / "run" / str(member.weights), network())
    right = (model(blobs().test.inputs).argmax(1) == blobs().test.targets).float().mean()
    assert float(right) == pytest.approx(member.test_value)
    with pytest.raises(NarrowerError, match=r"found 0\.999; allowed: 0, a share of zeros"):
        narrower.search(network(), blobs(), {"0": {"weight": [4], "weight_sparsity": [0.999]}}, ["accuracy"])


@pytest.mark.parametrize("plan", [SPARSE])
def test_training_together_is_training_alone(plan: Plan) -> None:
    data, model = blobs(), network()
    others = [Plan.of({"0": LayerPlan(FixedPoint(6, 3), FixedPoint(4, 3))}), plan]
    together = train_all([model] * 2, others, data.train, RECIPE)
    for each, own in zip(together, others, strict=True):
        assert isinstance(each, nn.Module)
        alone = train_in_formats(model, own, data.train, RECIPE)
        for name, tensor in alone.state_dict().items():
            torch.testing.assert_close(each.state_dict()[name], tensor, rtol=0, atol=1e-4)


def test_candidates_are_trained_with_their_zeros() -> None:
    found = narrower.search(
        network(), blobs(), SPACE, ["accuracy", "bitops"], candidates=RetrainedSettings(RECIPE)
    )
    assert found.record.summary.failed == 0


def convolutional() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(16, 3)
    ).eval()


@pytest.mark.parametrize("form", ["onnx", "qonnx"])
def test_artefacts_hold_exact_zeros_and_compute_what_was_scored(form: Dialect) -> None:
    data = torch.randn(20, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    program = lower(trace(convolutional(), data[:3]))
    own = {name: LayerPlan(FixedPoint(8, 4), Sparse(4, 3, 50, group=4, axis=1)) for name in ("0", "2")}
    plan = Plan.of({**own, "4": LayerPlan(FixedPoint(8, 4), Sparse(4, 3, 75, group=4))})
    written = to_onnx(program, plan, dialect=form, batch_size=20)
    rounded = narrower.quantized(convolutional(), plan)
    zeros = sorted(int((rounded.get_submodule(name).weight == 0).sum()) for name in ("0", "2", "4"))  # type: ignore[operator]
    sizes = sorted(rounded.get_submodule(name).weight.numel() for name in ("0", "2", "4"))  # type: ignore[operator]
    arrays = [numpy_helper.to_array(held) for held in written.graph.initializer]
    assert sorted(int((array == 0).sum()) for array in arrays if array.size in sizes) == zeros
    assert zeros[-1] >= 144
    if form == "onnx":
        session = onnxruntime.InferenceSession(written.SerializeToString())
        (found,) = session.run(None, {session.get_inputs()[0].name: data.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), rounded(data), rtol=1e-5, atol=1e-5)


def test_a_file_holds_the_mask_and_what_is_kept(tmp_path: Path) -> None:
    model, data = network(), blobs()
    paths = {name: tmp_path / f"{name}.safetensors" for name in ("sparse", "dense")}
    dense = Plan.of((name, LayerPlan(own.data, own.weight.values)) for name, own in SPARSE.layers)  # type: ignore[union-attr]
    for plan, path in zip((SPARSE, dense), paths.values(), strict=True):
        save_packed(model, "small", plan, path, (data.train.inputs[:3],))
    loaded, plan = load_parts(paths["sparse"], network())
    assert plan == SPARSE
    for name in ("0", "2"):
        rounded = narrower.quantized(model, SPARSE).get_submodule(name).weight
        assert torch.equal(loaded.get_submodule(name).weight, rounded)  # type: ignore[arg-type]
        held = load_file(paths["sparse"])[f"{name}.weight"]
        kept, width = int((rounded != 0).sum()), SPARSE.layer(name).weight.bits  # type: ignore[operator]
        assert held.numel() == rounded.numel() // 8 + rounded.numel() % 8 // 4 + -(-kept * width // 8)  # type: ignore[operator]
    first = Evaluator(lower(trace(model, data.train.inputs[:3])), data.test)
    again = Evaluator(lower(trace(loaded, data.train.inputs[:3])), data.test)
    assert torch.equal(again.outputs(plan, data.test.inputs), first.outputs(SPARSE, data.test.inputs))
