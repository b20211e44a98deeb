"""Which plans of rounds are trained: chosen without training, by a proxy or by what the search measured."""

from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrower
from narrower.data.parts import DataSet, Part
from narrower.errors import ModelError, NarrowerError
from narrower.report.finetuned import read_finetuned, summary_lines
from narrower.searching.front import front_indices
from narrower.searching.objective import PROXIES, Objective, Objectives
from narrower.store.trials import TrialStore
from narrower.study.chosen_untrained import by_loss, proxy_of_plan
from narrower.study.result import SearchResult
from narrower.training.recipe import Recipe
from narrower.training.rounding import rounded

RECIPE = Recipe(max_epochs=4, batch_size=32, learning_rate=0.02)
SPACE = {"0": {"data": [3, 5], "weight": [2, 3, 6]}, "2": {"data": [4], "weight": [2, 3, 6]}}


def blobs(turn: int = 0) -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(700) % 3
    inputs = torch.randn(700, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 400), slice(400, 550), slice(550, 700))]
    turned = [replace(part, targets=(part.targets + turn) % 3) for part in parts[1:]]
    return DataSet("blobs", parts[0], *turned, ("a", "b", "c"))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))


def searched(directory: Path, data: DataSet | None = None) -> SearchResult:
    return narrower.search(network(), data or blobs(), SPACE, ["accuracy", "bitops"], directory=directory)


def steps(x: Tensor, width: int, frac: int) -> Tensor:
    return (x * 2**frac).round().clamp(-(2 ** (width - 1)), 2 ** (width - 1) - 1) / 2**frac


def test_a_proxy_of_a_plan_is_that_of_the_rounded_network(tmp_path: Path) -> None:
    """Weights times gradients of the loss on 64 samples that teach, by hand."""
    found = searched(tmp_path / "run")
    plan = found.problem.space.plan(found.problem.space.options_at(7))
    model, part = found.problem.model, found.problem.data.train
    operands = {name: dict(plan.layers)[name] for name in ("0", "2")}
    weights = {}
    for name, own in operands.items():
        held = model.get_submodule(name).weight.detach()  # type: ignore[union-attr,operator]
        weights[name] = steps(held, own.weight.width, own.weight.frac)  # type: ignore[union-attr]
        weights[name].requires_grad_()
    x = part.inputs[:64]
    inside = x
    for name in ("0", "2"):
        own, layer = operands[name].data, model.get_submodule(name)
        exact = steps(inside, own.width, own.frac)  # type: ignore[union-attr]
        low, high = -(2 ** (own.width - 1)) - 0.5, 2 ** (own.width - 1) - 0.5  # type: ignore[union-attr]
        passes = (inside * 2**own.frac >= low) & (inside * 2**own.frac < high)  # type: ignore[union-attr]
        straight = torch.where(passes, inside - inside.detach() + exact, exact)
        inside = F.linear(straight, weights[name], layer.bias.detach())  # type: ignore[arg-type,operator,union-attr]
        if name == "0":
            inside = inside.relu()
    F.cross_entropy(inside, part.targets[:64]).backward()
    wanted = sum(float((w.detach() * w.grad).abs().sum()) for w in weights.values() if w.grad is not None)
    assert proxy_of_plan("snip", found.problem, plan) == pytest.approx(wanted, rel=1e-4)
    assert wanted > 0


@pytest.mark.parametrize("order", ["untrained", *PROXIES])
def test_the_best_quarter_by_rank_is_trained_and_no_other(order: str, tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    record = narrower.finetune(found, RECIPE, every=True, rounds=2, order=order)
    assert (record.order, record.rounds[0][0]) == (order, 5)
    assert record.rounds[1][0] in (2, 3)  # a quarter, or what nothing dominates up to a half
    assert record.steps_of_all == 18 * 52
    plans = {m.number: m for m in record.members}
    with TrialStore.open(found.run.trials, read_only=True) as store:
        trials = list(store.trials())
    space, values = found.problem.space, []
    for trial in trials:
        plan = space.plan(space.options_at(trial.plan_index))
        model = narrower.quantized(found.problem.model, plan).requires_grad_(False)
        value = -float(F.cross_entropy(model(blobs().validation.inputs), blobs().validation.targets))
        if order != "untrained":
            value = -inf  # where rounding leaves nothing of the network
            with suppress(ModelError):
                value = proxy_of_plan(order, found.problem, plan)
        values.append((-value, trial.metrics["bitops"] if value > -inf else inf))
    first = {int(row) for row in front_indices(torch.tensor(values).double().numpy())}
    trained = {number for number, member in plans.items() if member.steps}
    assert len(trained) == 5
    assert first <= trained if len(first) <= 5 else trained <= first
    assert any(f"chosen by {order}" in line for line in summary_lines(record))
    assert read_finetuned(found.run) == record


def test_who_enters_does_not_depend_on_labels_that_score(tmp_path: Path) -> None:
    trained = []
    for turn in (0, 1):
        found = searched(tmp_path / str(turn), blobs(turn))
        record = narrower.finetune(found, RECIPE, every=True, rounds=2, order="snip")
        trained.append({member.number for member in record.members if member.steps})
    assert trained[0] == trained[1]


def test_an_order_that_is_none_is_refused(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    with pytest.raises(NarrowerError, match=r"order: expected one of untrained, synflow.*found 'snap' \(did"):
        narrower.finetune(found, RECIPE, every=True, rounds=2, order="snap")


def test_a_rounded_copy_leaves_the_model_alone(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    plan = found.problem.space.plan(found.problem.space.options_at(0))
    held = {name: tensor.clone() for name, tensor in found.problem.model.state_dict().items()}
    copied = rounded(found.problem.model, plan)
    assert all(torch.equal(held[name], t) for name, t in found.problem.model.state_dict().items())
    wanted = narrower.quantized(found.problem.model, plan)(blobs().test.inputs)
    torch.testing.assert_close(copied(blobs().test.inputs), wanted)


def test_the_loss_stands_in_for_the_leading_metric_alone() -> None:
    both = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize")))
    metrics = {"accuracy": 0.5, "loss": 1.25, "bitops": 64.0}
    assert by_loss(both, metrics, "accuracy") == (1.25, 64.0)
    assert by_loss(both, metrics, "f1") == (-0.5, 64.0)
    assert by_loss(both, {"accuracy": 0.5, "bitops": 64.0}, "accuracy") == (-0.5, 64.0)
    three = Objectives((*both.each, Objective("loss", "minimize")))
    assert by_loss(three, metrics, "accuracy") == (-0.5, 64.0, 1.25)
    added = Objectives(both.each, "minimize")
    assert by_loss(added, metrics, "accuracy") == (-0.5 + 64.0,)
