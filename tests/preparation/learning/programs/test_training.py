"""Networks that are no chain: what is learned is what is deployed, and a training that was killed goes on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.errors import CheckpointError, SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed_each import FixedEach
from narrower.preparation.learning.price import price_of
from narrower.preparation.learning.programs.files import ProgramFiles
from narrower.preparation.learning.programs.operands import operands_of
from narrower.preparation.learning.programs.training import Lesson, ProgramTraining
from narrower.preparation.learning.settings import LearnSettings
from narrower.tasks.task import Ending
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe
from narrower.transform.quantized import quantized
from tests.preparation.learning.programs.networks import Attending, Convolutional, images, lowered

SETTINGS = LearnSettings(
    epochs=40,
    batch_size=25,
    learning_rate=1e-2,
    cycles=4,
    cost="bitops",
    weight_granularity="channel",
    soft_share=0.0,
)


def training(
    kind: type[nn.Module], settings: LearnSettings = SETTINGS, validation: Part | None = None
) -> ProgramTraining:
    _, program = lowered(kind)
    data = images()
    operands = operands_of(program, settings.weight_granularity)
    cost = NetworkCost(program.network)
    loss = Losses(Recipe(), data.task.loss(Ending()))
    price = price_of(settings.cost, program.network)
    lesson = Lesson(
        data.train,
        validation or data.validation,
        loss,
        None,
        price,
        lambda f: float(cost.of(f.plan)[settings.cost]),
    )
    return ProgramTraining(program, operands, lesson, settings)


def accuracy(outputs: Tensor, part: Part) -> float:
    return float((outputs.argmax(1) == part.targets).double().mean())


@pytest.mark.parametrize(
    ("kind", "granularity"),
    [(Convolutional, "channel"), (Convolutional, "weight"), (Attending, "tensor"), (Attending, "channel")],
)
def test_members_are_what_the_engine_scores(kind: type[nn.Module], granularity: str) -> None:
    done = training(kind, replace(SETTINGS, weight_granularity=granularity))  # type: ignore[arg-type]
    done.run()
    _, program = lowered(kind)
    part = images().validation
    members = list(done.members)
    assert len(members) > 1
    assert members[-1].quality > 0.95
    assert members[0].cost < members[-1].cost / 2
    for member in members:
        frozen = member.network
        evaluator = Evaluator(frozen.program(program), part)
        (quality,) = evaluator.evaluate([frozen.plan])
        assert quality.metrics["accuracy"] == member.quality
        assert NetworkCost(program.network).of(frozen.plan)["bitops"] == member.cost


def test_a_member_is_its_model_with_its_plan() -> None:
    done = training(Convolutional)
    done.run()
    model, program = lowered(Convolutional)
    part = images().test
    member = list(done.members)[-1]
    model.load_state_dict(dict(member.network.state), strict=False)
    with torch.no_grad():
        found = quantized(model, member.network.plan)(part.inputs)
    evaluator = Evaluator(member.network.program(program), part)
    (quality,) = evaluator.evaluate([member.network.plan])
    assert accuracy(found, part) == pytest.approx(quality.metrics["accuracy"], abs=0.02)


def test_all_widths_are_of_the_list() -> None:
    done = training(Convolutional, replace(SETTINGS, allowed=(0, 2, 4), max_width=4, epochs=10))
    done.run()
    for member in done.members:
        for _, layer in member.network.plan.layers:
            for chosen in (layer.data, layer.weight, layer.bias):
                widths = chosen.widths.tolist() if isinstance(chosen, FixedEach) else chosen.bits
                flat = torch.tensor(widths).flatten().tolist()
                assert set(flat) <= {0, 2, 4, 32}, chosen.text  # 32: there is no bias


def test_labels_of_the_samples_that_score_teach_nothing() -> None:
    own = images().validation
    short = replace(SETTINGS, epochs=6, cycles=2)
    trained = [
        training(Convolutional, short, part) for part in (own, replace(own, targets=own.targets.flip(0)))
    ]
    for each in trained:
        each.run()
    one, other = (each.state for each in trained)
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert not torch.equal(own.targets, own.targets.flip(0))


def test_a_killed_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("narrower.preparation.learning.programs.files.EVERY_SECONDS", 0.0)
    whole = training(Convolutional)
    whole.run()
    killed = training(Convolutional)
    files = ProgramFiles(tmp_path, SETTINGS)

    def until(done: ProgramTraining) -> None:
        files.save(done)
        if done.epoch == 31:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.run(saved=until)
    again = training(Convolutional)
    ProgramFiles(tmp_path, SETTINGS).restore(again)
    assert again.epoch == 31
    assert len(list(tmp_path.glob("member-*.safetensors"))) == len(killed.members) > 0
    again.run()
    assert told(again) == told(whole)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        ProgramFiles(tmp_path, replace(SETTINGS, seed=1)).restore(training(Convolutional))


def told(done: ProgramTraining) -> Sequence[object]:
    return [(m.cost, m.quality, m.epoch, m.number, m.network.plan) for m in done.members]


def test_a_target_is_reached() -> None:
    settings = replace(SETTINGS, epochs=60, target=9_000.0)
    done = training(Convolutional, settings)
    done.run()
    assert min(abs(member.cost / 9_000 - 1) for member in done.members) < 0.5


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu())
        return y


class Turned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.t().t()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Tied(), r"first \(its weight is shared with another layer"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))), r"0 \(its weight is comp"),
        (Turned(), "takes granularity = 'tensor'"),
        (nn.Sequential(nn.ReLU()), "no layers whose widths could be learned"),
    ],
)
def test_what_cannot_be_learned_is_named(model: nn.Module, words: str) -> None:
    program = lower(trace(model.eval(), torch.zeros(3, 4)))
    with pytest.raises(SettingsError, match=words):
        operands_of(program, "channel")
