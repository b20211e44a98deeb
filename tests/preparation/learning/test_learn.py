"""Trainings of widths on small data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.preparation.learning.learn import learn, learn_shapes, targets_of
from narrower.preparation.learning.members import Member, Members
from narrower.preparation.learning.schedule import Schedule
from narrower.preparation.learning.scoring import quick_scores
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.training import Training

SIZES = (16, 6, 5)
SHORT = LearnSettings(
    epochs=60, batch_size=256, cycles=6, soft_share=0.0, last_factor=3e-3, learning_rate=1e-2
)


def _parts(jets: DataSet) -> tuple[Part, Part]:
    return jets.train.first(3000), jets.validation.first(1500)


def test_one_training_gives_a_front_of_deployed_networks(jets: DataSet) -> None:
    train, validation = _parts(jets)
    learned = learn(SIZES, train, validation, SHORT)
    members = learned.members
    costs, correct = [m.cost for m in members], [m.quality for m in members]
    assert costs == sorted(costs)
    assert correct == sorted(correct)
    assert len(set(costs)) == len(members) > 5
    assert costs[0] < costs[-1] / 4
    assert correct[-1] / len(validation) > 0.5
    for member in members:
        assert member.cost == member.network.ebops
        whole, _ = member.network.whole_outputs(validation.inputs.numpy())
        assert member.quality == int((whole.argmax(1) == validation.targets.numpy()).sum())


def test_labels_of_the_validation_part_teach_nothing(jets: DataSet) -> None:
    train, validation = _parts(jets)
    weights = []
    for part in (validation, Part(validation.inputs, validation.targets.flip(0))):
        targets = targets_of(train, 5, SHORT)
        training = Training([SIZES], train, targets, part, SHORT, (0,))
        with torch.no_grad():
            training.run()
        weights.append(training.parameters.values.clone())
    assert torch.equal(*weights)


def test_candidates_learn_together_what_each_learns_alone(jets: DataSet) -> None:
    train, validation = _parts(jets)
    targets = targets_of(train, 5, SHORT)

    def values(seeds: tuple[int, ...]) -> list[torch.Tensor]:
        training = Training([SIZES] * len(seeds), train, targets, validation, SHORT, seeds)
        with torch.no_grad():
            training.train_epoch(0)
        return training.layout.coefficients(training.parameters.values)

    together, alone = values((3, 4)), values((4,))
    for several, one in zip(together, alone, strict=True):
        torch.testing.assert_close(several[1], one[0], rtol=0, atol=1e-4)


def test_the_quick_cost_is_the_exact_one_on_the_samples_that_give_the_widths(jets: DataSet) -> None:
    train, _ = _parts(jets)
    training = Training([SIZES], train, targets_of(train, 5, SHORT), train, SHORT, (0,))
    with torch.no_grad():
        for epoch in range(4):
            training.train_epoch(epoch)
        training.network.round(training.parameters)
        correct, costs = quick_scores(training.network, train.inputs.T, train.targets)
        training._score(4)
    (member,) = training.members
    assert member.quality == correct[0]
    assert member.cost <= costs[0] <= member.cost * 1.1  # it may find more that is idle


def test_soft_targets_come_from_other_samples(jets: DataSet) -> None:
    """A network that has seen a sample can repeat its class; of drawn classes no other can know it."""
    inputs = jets.train.inputs[:600]
    drawn = torch.randint(0, 5, (600,), generator=torch.Generator().manual_seed(0))
    shares = targets_of(Part(inputs, drawn), 5, LearnSettings(soft_share=1.0))
    assert (shares.sum(1) - 1).abs().max() < 1e-5
    assert (shares.argmax(1) == drawn).float().mean() < 0.3


def test_none_of_the_members_beats_another_and_they_are_bounded() -> None:
    rng = np.random.default_rng(0)
    members = Members(20)
    seen = []
    for _ in range(400):
        cost, correct = int(rng.integers(1, 1000)), int(rng.integers(1, 1000))
        seen.append((cost, correct))
        members.add(Member(None, cost, correct, 0, 0))  # type: ignore[arg-type]
    kept = [(m.cost, m.quality) for m in members]
    beaten = [a for a in seen if any(b != a and b[0] <= a[0] and b[1] >= a[1] for b in seen)]
    assert not set(kept) & set(beaten)
    assert set(kept) == set(seen) - set(beaten)
    many = Members(5)
    for cost in range(1, 50):
        many.add(Member(None, cost, cost**2, 0, 0))  # type: ignore[arg-type]
    assert len(many) == 5
    assert [m.cost for m in many][-1] == 49


def test_factor_and_rate_follow_the_schedule() -> None:
    settings = LearnSettings(epochs=10, cycles=2, learning_rate=1.0, cycle_factor=0.5, warm_share=0.2)
    schedule = Schedule(settings, 100)
    assert [schedule.rate(step) for step in (0, 25, 50, 75)] == pytest.approx([1, 0.5, 0.5, 0.25])
    scored = [epoch for epoch in range(10) if schedule.is_scored(epoch, 10)]
    assert scored == [2, 3, 4, 7, 8, 9]
    few = Schedule(LearnSettings(epochs=100, cycles=2, scores_per_cycle=3, scored_share=0.5), 100)
    assert sum(few.is_scored(epoch, 100) for epoch in range(100)) == 6


@pytest.mark.parametrize(
    ("field", "value"), [("epochs", 0), ("soft_share", 1.5), ("max_width", 40), ("learning_rate", 0.0)]
)
def test_settings_that_make_no_sense_are_named(field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{field}.*{value:g}"):
        LearnSettings(**{field: value})  # type: ignore[arg-type]


def test_shapes_are_trained_at_once_and_share_one_front(jets: DataSet) -> None:
    train, validation = _parts(jets)
    shapes = [(16, 4, 5), (16, 9, 5)]
    learned = learn_shapes(shapes, train, validation, replace(SHORT, candidates=2))
    assert {m.candidate for m in learned.members} <= set(range(4))
    for member in learned.members:
        sizes = shapes[member.candidate // 2]
        assert tuple(layer.weights.shape for layer in member.network.layers) == (
            (16, sizes[1]),
            (sizes[1], 5),
        )
        whole, _ = member.network.whole_outputs(validation.inputs.numpy())
        assert member.quality == int((whole.argmax(1) == validation.targets.numpy()).sum())


def test_a_smaller_shape_learns_what_it_learns_alone(jets: DataSet) -> None:
    train, validation = _parts(jets)
    targets, small, large = targets_of(train, 5, SHORT), (16, 4, 5), (16, 7, 5)

    def values(shapes: list[tuple[int, ...]]) -> list[torch.Tensor]:
        training = Training(shapes, train, targets, validation, SHORT, range(len(shapes)))
        with torch.no_grad():
            training.train_epoch(0)
        return training.layout.coefficients(training.parameters.values)

    first, second = values([small, large])
    alone_first, alone_second = values([small])
    torch.testing.assert_close(first[0, :16, :4], alone_first[0, :16], rtol=0, atol=1e-4)
    torch.testing.assert_close(second[0, :4], alone_second[0, :4], rtol=0, atol=1e-4)
    assert first[0, :, 4:].abs().max() == 0
    assert second[0, 4:7].abs().max() == 0


def test_shapes_that_do_not_go_together_are_named(jets: DataSet) -> None:
    train, validation = _parts(jets)
    with pytest.raises(SettingsError, match="differ in more"):
        learn_shapes([(16, 4, 5), (16, 4, 4, 5)], train, validation, SHORT)
    with pytest.raises(SettingsError, match="not for each channel"):
        learn_shapes(
            [(16, 4, 5), (16, 5, 5)], train, validation, replace(SHORT, weight_granularity="channel")
        )
