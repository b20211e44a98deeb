"""Training with Lightning: it learns, repeats itself and writes what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from narrower.data.datasets import DataSet, load_data_set
from narrower.errors import NarrowerError, SettingsError
from narrower.models.build import build_model
from narrower.models.checkpoints import read_state_dict
from narrower.training.one_model import train
from narrower.training.recipe import Recipe
from narrower.training.together import train_together

SETTINGS = Recipe(max_epochs=3, batch_size=64, learning_rate=1e-2)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load_data_set("digits")


def test_it_learns_and_writes_checkpoint_and_logs(tmp_path: Path, digits: DataSet) -> None:
    result = train(build_model("digits-mlp"), digits, SETTINGS, tmp_path, show_progress=False)
    assert result.validation.metrics["accuracy"] > 0.8  # chance is 0.1
    assert result.best_checkpoint == tmp_path / "checkpoints" / "best.ckpt"
    assert (tmp_path / "logs" / "csv" / "metrics.csv").is_file()
    assert list((tmp_path / "logs" / "tensorboard").glob("events.out.tfevents.*"))


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, digits: DataSet) -> None:
    settings = replace(SETTINGS, max_epochs=1)
    states = []
    for name in ("a", "b"):
        train(build_model("digits-mlp"), digits, settings, tmp_path / name, show_progress=False)
        states.append(read_state_dict(tmp_path / name / "checkpoints" / "best.ckpt"))
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_a_loss_that_is_not_a_number_says_what_to_try(tmp_path: Path, digits: DataSet) -> None:
    with pytest.raises(NarrowerError, match="learning rate below"):
        train(
            build_model("digits-mlp"),
            digits,
            replace(SETTINGS, learning_rate=1e30),
            tmp_path,
            show_progress=False,
        )


def test_a_batch_of_one_sample_is_refused_for_batch_norm(tmp_path: Path, jets: DataSet) -> None:
    small = DataSet(
        "few", jets.train.first(8), jets.validation.first(8), jets.test.first(8), jets.output_names
    )
    with pytest.raises(SettingsError, match="batch_size"):
        train(build_model("jsc-toy"), small, replace(SETTINGS, batch_size=1), tmp_path, show_progress=False)


def test_the_weights_are_those_after_the_last_epoch_alone_and_together(
    tmp_path: Path, digits: DataSet
) -> None:
    """Whatever the samples are that score them: here their classes are exchanged, so that learning is bad."""
    wrong = replace(digits.validation, targets=9 - digits.validation.targets)
    turned = replace(digits, validation=wrong, content_hash="")
    settings = Recipe(max_epochs=3, batch_size=64, learning_rate=1e-3)
    weights = []
    for name, data in (("a", digits), ("b", turned)):
        result = train(build_model("digits-mlp"), data, settings, tmp_path / name, show_progress=False)
        weights.append(read_state_dict(result.best_checkpoint))
        held = json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8"))
        assert (held["ended"], held["kept"]) == (True, "last epoch")
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    together = train_together([build_model("digits-mlp")], digits.train, settings).models[0]
    alone = build_model("digits-mlp").eval()
    alone.load_state_dict(weights[0])
    torch.testing.assert_close(together(digits.test.inputs), alone(digits.test.inputs), rtol=0, atol=0.02)
