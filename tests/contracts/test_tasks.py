"""What every task keeps to, and a toy one that needs no other file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrower.data.parts import DataSet, Part
from narrower.errors import DataError
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.catalogue import TASKS
from narrower.tasks.columns import columns_of, stacked_losses
from narrower.tasks.intervals import interval
from narrower.tasks.paired import is_better
from narrower.tasks.quality import added, best_reachable, quality_of
from narrower.tasks.regression.task import Regression
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Task, Words, leading, wanted_metrics


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double() - targets[:, None]).square().mean(1)


class Distance:
    """A toy: how far outputs are from a number, its root over all samples, and a metric of two columns."""

    words = Words("distance", "number", "numbers")
    metrics = (
        SampleMetric(
            "root", "root of the mean square", "minimize", squared, lambda sums, n: (sums[0] / n) ** 0.5
        ),
        SampleMetric(LOSS, "mean square", "minimize", squared, best=(0.0,)),
        SampleMetric(
            "explained",
            "share of the targets' squares",
            "maximize",
            lambda y, t: torch.stack([squared(y, t), t.double().square()], dim=1),
            lambda sums, _n: 1 - sums[0] / sums[1],
        ),
    )

    def loss(self, ending: Ending) -> Loss:
        return Loss("mean square", lambda outputs, targets: (outputs - targets[:, None]).square().mean(1))

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: Tensor | None = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.floating):
            raise DataError(f"expected numbers [N], found {targets.dtype} {targets.shape}")
        if outputs is not None and outputs.shape != (len(targets), 1):
            raise DataError(f"expected outputs [N, 1], found {tuple(outputs.shape)}")
        return tuple(names or ("number",))


@dataclass(frozen=True, slots=True)
class Case:
    """A task with outputs and targets that suit it, and targets that do not."""

    task: Task
    outputs: Tensor
    targets: Tensor
    wrong: NDArray[Any]


SCORES = torch.randn(300, 4, generator=torch.Generator().manual_seed(1)).round(decimals=1)  # with ties
ODD = torch.cat([SCORES + 0.3 * SCORES.roll(1, 0), (torch.arange(300) % 4 == 0).float()[:, None]], dim=1)
ODD[ODD[:, -1] == 1, :-1] += 0.7
PLACES = torch.randn(300, 4, 3, generator=torch.Generator().manual_seed(2))
CLASSES = torch.where(SCORES > 1.2, -100, (PLACES + PLACES.roll(1, 0)).argmax(2))
CASES = {
    "classification": Case(
        TASKS["classification"], SCORES, torch.arange(300) % 4, np.array([0.5, 1.0], dtype=np.float32)
    ),
    "regression": Case(
        TASKS["regression"], SCORES[:, :2], SCORES[:, :2] + SCORES[:, 2:], np.array([1, 2], dtype=np.int64)
    ),
    "regression of scaled targets": Case(
        Regression((3.0, 0.5), "huber"),
        SCORES[:, :2],
        SCORES[:, :2] + SCORES[:, 2:],
        np.array([1, 2], dtype=np.int64),
    ),
    "a single logit": Case(
        TASKS["classification"],
        SCORES[:, :1],
        (SCORES[:, 1] > 0).long(),
        np.array([0.5, 1.0], dtype=np.float32),
    ),
    "multi-label": Case(
        TASKS["multi-label"],
        SCORES,
        (SCORES + SCORES.roll(1, 1) > 0).float(),
        np.array([[0.5, 1.0]], dtype=np.float32),
    ),
    "reconstruction": Case(
        TASKS["reconstruction"], SCORES, SCORES + SCORES.roll(1, 0), np.array([[1, 2]], dtype=np.int64)
    ),
    "anomalies": Case(TASKS["anomalies"], SCORES, ODD, np.array([[0.1, 0.2, 0.5]], dtype=np.float32)),
    "segmentation": Case(
        TASKS["segmentation"],
        PLACES.transpose(1, 2).reshape(300, 3, 2, 2),
        CLASSES.view(300, 2, 2),
        np.array([1, 2]),
    ),
    **{
        name: Case(TASKS[name], PLACES, CLASSES, np.array([1, 2]))
        for name in ("language-modelling", "masked-language-modelling", "token-classification")
    },
    "distance": Case(Distance(), SCORES[:, :1], SCORES[:, 1] + SCORES[:, 0], np.array(["a", "b"])),
}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_every_task_is_in_the_suite() -> None:
    assert set(TASKS) <= set(CASES)


def test_names_and_metrics(case: Case) -> None:
    assert isinstance(case.task, Task)
    names = [metric.name for metric in case.task.metrics]
    assert LOSS in names[1:]  # it never leads
    assert len(set(names)) == len(names)
    assert [m.name for m in wanted_metrics(case.task, loss=False)] == [n for n in names if n != LOSS]


def test_batches_add_up_to_the_whole(case: Case) -> None:
    whole = {m.name: m.sums(case.outputs, case.targets) for m in case.task.metrics}
    sums: dict[str, tuple[float, ...]] = {}
    for outputs, targets in zip(case.outputs.split(70), case.targets.split(70), strict=True):
        sums = added(case.task.metrics, sums, {m.name: m.sums(outputs, targets) for m in case.task.metrics})
    assert {name: pytest.approx(values) for name, values in whole.items()} == sums


def test_contributions_are_of_samples(case: Case) -> None:
    shuffled = torch.randperm(len(case.targets), generator=torch.Generator().manual_seed(0))
    for metric in case.task.metrics:
        found = metric.contributions(case.outputs, case.targets)
        assert len(found) == len(case.targets)
        assert found.dtype == (torch.bool if metric.is_share else torch.float64)
        again = metric.contributions(case.outputs[shuffled], case.targets[shuffled])
        assert torch.equal(again, found[shuffled])


def test_the_loss_is_that_of_each_sample_and_can_be_differentiated(case: Case) -> None:
    loss = case.task.loss(Ending())
    outputs = case.outputs.clone().requires_grad_()
    of_samples = loss.of_samples(outputs, case.targets)
    assert of_samples.shape == case.targets.shape[:1]
    of_samples.mean().backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()
    (metric,) = [m for m in case.task.metrics if m.name == LOSS]
    value = metric.value(metric.sums(case.outputs, case.targets), len(case.targets))
    assert value == pytest.approx(float(of_samples.detach().mean()), rel=1e-5)


def test_losses_of_stacked_outputs_are_those_of_each(case: Case) -> None:
    stacked = torch.stack([case.outputs, case.outputs * 2, -case.outputs])
    of_samples = case.task.loss(Ending()).of_samples
    expected = torch.stack([of_samples(outputs, case.targets).mean() for outputs in stacked])
    torch.testing.assert_close(stacked_losses(case.task)(stacked, case.targets), expected)


def test_what_a_plan_is_dropped_by_is_never_worse_than_what_it_reaches(case: Case) -> None:
    task, count = case.task, len(case.targets)
    whole = quality_of(task, {m.name: m.sums(case.outputs, case.targets) for m in task.metrics}, count)
    first = {m.name: m.sums(case.outputs[:100], case.targets[:100]) for m in task.metrics}
    bound = best_reachable(task, quality_of(task, first, 100), count)
    assert bound.dropped_after == 100
    for metric in task.metrics:
        if metric.best is None:
            assert metric.name not in bound.metrics
        else:
            assert metric.sign * bound.metrics[metric.name] >= metric.sign * whole.metrics[metric.name]


def test_chance_is_worse_than_knowing(case: Case) -> None:
    for metric in case.task.metrics:
        if metric.chance is not None and metric.best is not None:
            assert metric.sign * metric.chance(4) < metric.sign * metric.value(metric.best, 1)


def test_the_interval_holds_the_value_and_shrinks_with_samples(case: Case) -> None:
    metric = leading(case.task)
    contributions = metric.contributions(case.outputs, case.targets).numpy()
    value = metric.value(metric.sums(case.outputs, case.targets), len(case.targets))
    low, high = interval(metric, contributions)
    assert low < value < high
    fewer = interval(metric, contributions[:50])
    assert fewer[1] - fewer[0] > high - low


def test_of_two_plans_only_a_clearly_better_one_is_better(case: Case) -> None:
    metric = leading(case.task)
    own = metric.contributions(case.outputs, case.targets).numpy()
    worse = metric.contributions(case.outputs * -9, case.targets).numpy()
    assert not is_better(metric, own, own)
    if metric.is_share:
        own = own | (np.arange(len(own)) % 2 == 0)
    assert is_better(metric, own, worse)
    assert not is_better(metric, worse, own)


def test_wrong_targets_and_outputs_are_refused_and_right_ones_named(case: Case) -> None:
    names = case.task.check(case.targets.numpy(), outputs=case.outputs, teaches=True)
    assert case.task.check(case.targets.numpy(), names) == names
    with pytest.raises(DataError):
        case.task.check(case.wrong)
    with pytest.raises(DataError):
        case.task.check(case.targets.numpy(), names, outputs=case.outputs[:3])


def test_columns_say_what_rows_say(case: Case) -> None:
    columns = columns_of(case.task)
    if columns is None:
        pytest.skip("this task has no faster way")
    placed = columns.arrange(case.targets)
    is_sample = placed.order >= 0
    assert sorted(placed.order[is_sample].tolist()) == list(range(len(case.targets)))
    outputs = case.outputs[placed.order.clamp(min=0)]
    outputs[~is_sample] = torch.nan
    blocks = outputs.view(len(placed.kinds), placed.width, -1).transpose(1, 2)[None, :, None]
    right = [columns.contributions(blocks[:, i : i + 1], kind) for i, kind in enumerate(placed.kinds)]
    found = torch.cat(right, dim=1).flatten()[is_sample]
    metric = leading(case.task)
    assert torch.equal(found, metric.contributions(case.outputs, case.targets)[placed.order[is_sample]])
    chunks = [columns.sums(blocks[:, i : i + 1], [kind], loss=True) for i, kind in enumerate(placed.kinds)]
    together = columns.sums(blocks, placed.kinds, loss=True)
    for number, each in enumerate(wanted_metrics(case.task, loss=True)):
        expected = each.sums(case.outputs, case.targets)
        assert (sum(float(of_chunk[number]) for of_chunk in chunks),) == expected
        assert (float(together[number]),) == expected


@pytest.fixture(scope="module")
def numbers() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    inputs = torch.randn(600, 4, generator=chance)
    targets = inputs.sum(1) + 0.1 * torch.randn(600, generator=chance)
    parts = [
        Part(inputs[some], targets[some], task=Distance())
        for some in (slice(0, 400), slice(400, 500), slice(500, 600))
    ]
    return DataSet("numbers", *parts, ("sum",))


def test_plans_of_a_toy_task_are_scored_as_its_outputs_say(numbers: DataSet) -> None:
    model = nn.Sequential(nn.Linear(4, 1)).eval()
    part = numbers.validation
    evaluator = Evaluator(lower(trace(model, part.inputs[:3])), part, batch_size=32)
    plans = [Plan.of({"0": LayerPlan(weight=FixedPoint(bits, bits - 2))}) for bits in (3, 5, 8)]
    for plan, quality in zip(plans, evaluator.evaluate(plans, loss=True), strict=True):
        outputs = evaluator.outputs(plan, part.inputs).double()[:, 0]
        square = float((outputs - part.targets).square().mean())
        assert quality.metrics["root"] == pytest.approx(square**0.5)
        assert quality.metrics[LOSS] == pytest.approx(square)
        explained = 1 - square / float(part.targets.double().square().mean())
        assert quality.metrics["explained"] == pytest.approx(explained)
