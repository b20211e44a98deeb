"""What every way of giving plans their weights keeps to, and a toy one that needs no other file."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import DataSet, Part
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.catalogue import PREPARATIONS, build_preparation
from narrower.preparation.learned import Learned
from narrower.preparation.preparation import Candidate, Preparation, Prepared, Subject
from narrower.preparation.settings import (
    AdjustedSettings,
    CandidateSettings,
    CrossValidatedSettings,
    LearnedSettings,
    LearnedShapesSettings,
    PreparationSettings,
    RetrainedSettings,
    SharedSettings,
)
from narrower.training.recipe import Recipe
from narrower.transform.tried_channels import tried_channels

ONCE = Recipe(max_epochs=1, batch_size=64)
EIGHT_BITS = LayerPlan(data=FixedPoint(8, 4), weight=FixedPoint(8, 6))
PLANS = (
    Plan((("0", EIGHT_BITS),)),
    Plan((("0", replace(EIGHT_BITS, weight=FixedPoint(4, 3))),)),
    Plan((("0", EIGHT_BITS),)),  # twice the same
)
WIDER = (*(Plan((("0", LayerPlan(width=width)),)) for width in (0.5, 1.5)), Plan())


@pytest.fixture(scope="module")
def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(600) % 3
    inputs = torch.randn(600, 4, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 400), slice(400, 500), slice(500, 600))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


@pytest.fixture(scope="module")
def subject(blobs: DataSet) -> Subject:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    program = trace(model, blobs.train.inputs[:3])
    channels = tried_channels(model, program, (blobs.train.inputs[:3],))
    return Subject("small", model, program, blobs, 5, channels, {"0": 1.5}, scored=blobs.validation)


EVERY = [
    pytest.param(SharedSettings(), PLANS, id="shared"),
    pytest.param(AdjustedSettings(("rounding", "biases", "norms"), 100), PLANS, id="adjusted"),
    pytest.param(RetrainedSettings(ONCE), PLANS, id="retrained"),
    pytest.param(CrossValidatedSettings(ONCE, folds=2, float_recipe=ONCE), PLANS, id="in-folds"),
    pytest.param(CandidateSettings(weights="slice"), WIDER, id="resized"),
    pytest.param(CandidateSettings(training=ONCE, seeds=2), WIDER, id="resized-and-trained"),
    pytest.param(LearnedSettings(epochs=12, batch_size=64), None, id="learned"),
]


def prepared(
    settings: PreparationSettings, plans: Sequence[Plan] | None, subject: Subject
) -> tuple[Preparation, Sequence[Plan]]:
    """A preparation, and plans for it: one that proposes its own has proposed them."""
    preparation = build_preparation(settings, subject)
    if plans is not None:
        return preparation, plans
    assert isinstance(preparation, Learned)
    preparation.learn(subject.data.validation, lambda _proposal: None)
    proposed = list(preparation.members.values())
    assert len(proposed) > 1
    return preparation, [*proposed, proposed[0]]


def test_every_preparation_is_in_the_suite() -> None:
    """But for widths learned in each of several shapes: each is a learning of its own."""
    assert {type(case.values[0]) for case in EVERY} == set(PREPARATIONS) - {LearnedShapesSettings}


@pytest.mark.parametrize(("settings", "plans"), EVERY)
def test_each_plan_is_prepared_once(
    settings: PreparationSettings, plans: Sequence[Plan] | None, subject: Subject
) -> None:
    preparation, plans = prepared(settings, plans, subject)
    assert isinstance(preparation, Preparation)
    groups = list(preparation.prepare(plans))
    assert sorted(map(repr, (plan for group in groups for plan in group.plans))) == sorted(
        map(repr, set(plans))
    )
    for group in groups:
        assert group.failure is None
        folds = settings.folds if isinstance(settings, CrossValidatedSettings) else 1
        assert len(group.candidates) == settings.seeds * folds
    assert (preparation.words is None) == settings.shares_weights
    if settings.shares_weights:
        assert len(groups) == 1


@pytest.mark.parametrize(("settings", "plans"), EVERY)
def test_a_plan_made_alone_has_the_same_outputs(
    settings: PreparationSettings, plans: Sequence[Plan] | None, subject: Subject
) -> None:
    preparation, plans = prepared(settings, plans, subject)
    inputs = subject.data.test.inputs
    for group in preparation.prepare(plans):
        alone = preparation.alone(group.plans[0])
        for together, by_itself in zip(group.candidates, alone.candidates, strict=True):
            with torch.inference_mode():
                found, wanted = together.model(inputs), by_itself.model(inputs)
            # Training together sums in another order, and picks no epoch on the validation part.
            tolerance = 0.5 if isinstance(settings, CandidateSettings) and settings.training else 1e-4
            torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("settings", "plans"), EVERY)
def test_a_program_computes_what_its_module_computes(
    settings: PreparationSettings, plans: Sequence[Plan] | None, subject: Subject
) -> None:
    inputs = subject.data.test.inputs
    preparation, plans = prepared(settings, plans, subject)
    for group in preparation.prepare(plans):
        for candidate in group.candidates:
            evaluator = Evaluator(candidate.program, subject.data.test)
            with torch.inference_mode():
                torch.testing.assert_close(evaluator.outputs(Plan(), inputs), candidate.model(inputs))


def test_the_model_is_left_as_it_was(subject: Subject) -> None:
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    for case in EVERY:
        settings, plans = case.values
        preparation, plans = prepared(settings, plans, subject)
        list(preparation.prepare(plans))
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, before[name])


@dataclass(frozen=True, slots=True)
class HalvedSettings:
    """A toy: every plan has half of the model's weights."""

    shares_weights: ClassVar[bool] = False
    proposes: ClassVar[bool] = False
    seeds: ClassVar[int] = 1
    trains_float32: ClassVar[bool] = False
    needs_weights: ClassVar[bool] = True


class Halved:
    words = "halved"
    together = None

    def __init__(self, subject: Subject, _settings: HalvedSettings) -> None:
        self._subject = subject

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        yield Prepared(tuple(plans), self.alone(plans[0]).candidates)

    def alone(self, plan: Plan) -> Prepared:
        model = copy.deepcopy(self._subject.model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        return Prepared((plan,), (Candidate(model, lower(self._subject.traced(model))),))


def test_a_new_preparation_is_one_class_and_one_line(
    monkeypatch: pytest.MonkeyPatch, subject: Subject, blobs: DataSet
) -> None:
    monkeypatch.setitem(PREPARATIONS, HalvedSettings, f"{__name__}:Halved")
    monkeypatch.setattr("narrower.preparation.catalogue.import_module", lambda _name: _This)
    space = {"0": {"data": [8], "weight": [4, 8]}}
    found = narrower.search(subject.model, blobs, space, ["accuracy", "bitops"], candidates=HalvedSettings())
    assert found.record.summary.training == "halved"
    assert all(member.alone_value == member.metrics["accuracy"] for member in found.record.members)


class _This:
    Halved = Halved
