"""The loop of our own: against a plain loop, against Lightning, and against itself when it was stopped."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import DataSet, Part
from narrower.errors import SettingsError
from narrower.models.checkpoints import load_weights
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending
from narrower.training.choosing import taught_and_choosing
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.one_model import is_of_lightning, train, train_weights
from narrower.training.recipe import Recipe
from narrower.training.with_lightning import train_with_lightning

SCORES = CLASSIFICATION.loss(Ending())

RECIPE = Recipe(max_epochs=3, batch_size=50, learning_rate=1e-2, seed=4)


@pytest.fixture(scope="module")
def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(720) % 3
    inputs = torch.randn(720, 4, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 420), slice(420, 570), slice(570, 720))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def small() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def batches_of(part: Part, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """A permutation from the seed for each epoch, cut into batches."""
    generator = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.max_epochs):
        for batch in torch.split(torch.randperm(len(part), generator=generator), recipe.batch_size):
            yield part.inputs[batch], part.targets[batch]


def close(found: nn.Module, wanted: nn.Module, tolerance: float = 1e-5) -> None:
    for name, tensor in wanted.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, rtol=0, atol=tolerance)


def test_it_equals_a_plain_loop(blobs: DataSet) -> None:
    plain = small().train()
    optimizer = torch.optim.Adam(plain.parameters(), lr=RECIPE.learning_rate)
    steps = RECIPE.max_epochs * -(-len(blobs.train) // RECIPE.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    torch.manual_seed(RECIPE.seed)  # of dropout
    for inputs, targets in batches_of(blobs.train, RECIPE):
        optimizer.zero_grad()
        F.cross_entropy(plain(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    close(train_weights(small(), blobs.train, RECIPE), plain)


def test_it_equals_lightning(blobs: DataSet, tmp_path: Path) -> None:
    epochs = train_with_lightning(small(), blobs, RECIPE, tmp_path, SCORES, False, (), ())
    assert epochs == RECIPE.max_epochs
    wanted = load_weights(small(), tmp_path / "checkpoints" / "best.ckpt")
    close(train_weights(small(), blobs.train, RECIPE), wanted)


RICH = replace(
    RECIPE, max_epochs=5, optimizer="adamw", weight_decay=0.1, average=0.9, patience=4, schedule="plateau"
)


@pytest.mark.parametrize(
    "recipe", [RECIPE, RICH, replace(RECIPE, optimizer="sgd"), replace(RECIPE, optimizer="muon")]
)
def test_a_training_that_stopped_goes_on_as_if_it_had_not(
    recipe: Recipe, blobs: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrower.training.saved.SECONDS", 0.0)
    whole = train(small(), blobs, recipe, tmp_path / "whole", show_progress=False)
    epoch, done = Core.epoch, []

    def stops(core: Core, *arguments: Any) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(core.step)
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", stops)
    with pytest.raises(KeyboardInterrupt):
        train(small(), blobs, recipe, tmp_path / "half", show_progress=False)
    steps: list[int] = []

    def counts(core: Core, *arguments: Any) -> None:
        steps.append(core.step)
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", counts)
    half = train(small(), blobs, recipe, tmp_path / "half", show_progress=False)
    assert steps[0] > done[-1] > 0  # no step twice
    close(load_weights(small(), half.best_checkpoint), load_weights(small(), whole.best_checkpoint), 0.0)
    rows = [(tmp_path / name / "logs" / "csv" / "metrics.csv").read_text() for name in ("whole", "half")]
    assert rows[0] == rows[1]
    assert not (tmp_path / "half" / "checkpoints" / "unfinished.pt").exists()


def test_another_training_does_not_go_on_with_it(
    blobs: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrower.training.saved.SECONDS", 0.0)
    interrupted = Core.figures

    def stops(core: Core, part: Part) -> Any:
        if core.epochs == 2:
            raise KeyboardInterrupt
        return interrupted(core, part)

    monkeypatch.setattr(Core, "figures", stops)
    with pytest.raises(KeyboardInterrupt):
        train(small(), blobs, RECIPE, tmp_path, show_progress=False)
    monkeypatch.setattr(Core, "figures", interrupted)
    other = replace(RECIPE, seed=5)
    found = train(small(), blobs, other, tmp_path, show_progress=False)
    close(load_weights(small(), found.best_checkpoint), train_weights(small(), blobs.train, other), 0.0)


def test_what_chooses_does_not_teach(blobs: DataSet) -> None:
    recipe = replace(RECIPE, patience=2, choosing_share=0.25)
    numbered = Part(torch.arange(100.0)[:, None], torch.zeros(100, dtype=torch.int64))
    taught, choosing = taught_and_choosing(numbered, recipe)
    assert choosing is not None
    assert len(choosing) == 25
    assert sorted([*taught.inputs.flatten().tolist(), *choosing.inputs.flatten().tolist()]) == list(
        range(100)
    )
    assert taught_and_choosing(numbered, RECIPE) == (numbered, None)
    # Classes of the samples that choose are exchanged: the first epochs are the same, step by step.
    _, chosen = taught_and_choosing(blobs.train, recipe)
    assert chosen is not None
    is_chosen = (blobs.train.inputs[:, None] == chosen.inputs).all(dim=2).any(dim=1)
    turned = torch.where(is_chosen, 2 - blobs.train.targets, blobs.train.targets)
    states = []
    for targets in (blobs.train.targets, turned):
        core = Core(
            small(),
            taught_and_choosing(Part(blobs.train.inputs, targets), recipe)[0],
            recipe,
            Losses(recipe, SCORES),
        )
        torch.manual_seed(0)
        core.epoch()
        states.append(core.weights[0].exact)
    assert torch.equal(*states)


def test_an_early_end_keeps_the_best_epoch(blobs: DataSet) -> None:
    recipe = replace(RECIPE, max_epochs=40, patience=3, learning_rate=0.3, schedule="constant")
    taught, choosing = taught_and_choosing(blobs.train, recipe)
    losses: list[float] = []
    core = Core(small(), taught, recipe, Losses(recipe, SCORES), choosing=choosing)
    while not core.ended:
        core.epoch()
        assert choosing is not None
        losses.append(core.figures(choosing).loss)
    assert len(losses) < 40
    assert len(losses) - 1 - losses.index(min(losses)) == 3
    core.finish()
    assert core.figures(choosing).loss == min(losses)


def test_lightning_trains_its_own_modules(blobs: DataSet, tmp_path: Path) -> None:
    import lightning

    class Own(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = small()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x)
            return out

    assert is_of_lightning(Own())
    assert not is_of_lightning(small())
    train(Own(), blobs, RECIPE, tmp_path, show_progress=False)
    close(
        load_weights(small(), tmp_path / "checkpoints" / "best.ckpt"),
        train_weights(small(), blobs.train, RECIPE),
    )
    with pytest.raises(SettingsError, match="clip_norm: not for modules"):
        train(Own(), blobs, replace(RECIPE, clip_norm=1.0), tmp_path / "b", show_progress=False)


def test_callbacks_of_lightning_are_called(blobs: DataSet, tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import Callback

    class Counts(Callback):  # type: ignore[misc]
        epochs = 0

        def on_train_epoch_end(self, *_: Any) -> None:
            self.epochs += 1

    counts = Counts()
    train(small(), blobs, RECIPE, tmp_path, show_progress=False, callbacks=[counts])
    assert counts.epochs == RECIPE.max_epochs


def test_the_model_that_is_trained_is_a_copy(blobs: DataSet) -> None:
    model = small()
    before = copy.deepcopy(model.state_dict())
    trained = train_weights(model, blobs.train, RECIPE)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    storages = {p.untyped_storage().data_ptr() for p in trained.parameters()}
    assert len(storages) == len(list(trained.parameters()))
