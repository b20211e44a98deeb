"""``narrower train``: its options are the fields of a recipe, and a training that stopped goes on."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from narrower.training.core import Core
from narrower.training.recipe import Recipe
from tests.conftest import RunNarrower

TRAIN = ("train", "digits-mlp", "digits", "--batch-size", "64", "--json")
OPTIONS = {
    "optimizer": "adamw", "momentum": 0.8, "schedule": "linear", "cycles": 2, "warmup_steps": 3,
    "weight_decay": 0.01, "clip_norm": 1.0, "label_smoothing": 0.1, "max_steps": 30, "patience": 2,
    "choosing_share": 0.2, "average": 0.5, "temperature": 3.0, "freeze_norms_after": 1, "max_epochs": 4,
    "learning_rate": 0.02, "seed": 3,
}  # fmt: skip


def test_every_field_has_an_option_and_is_recorded(run_narrower: RunNarrower) -> None:
    given = [text for name, value in OPTIONS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    code, out, err = run_narrower(*TRAIN, *given, "--decay-matrices")
    assert code == 0, err
    wanted = asdict(Recipe(**OPTIONS, batch_size=64, decay_all=False))
    assert json.loads(out)["settings"] == wanted
    record = json.loads(Path("runs/digits-mlp-digits/training.json").read_text(encoding="utf-8"))
    assert record["settings"] == wanted
    assert record["kept"] == "best epoch by the loss on 20% of the training part, held out"


def test_a_stopped_training_is_resumed(run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = Core.epoch

    def stops(core: Core, *arguments: Any) -> None:
        if core.epochs == 2:
            raise KeyboardInterrupt
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", stops)
    code, _, err = run_narrower(*TRAIN, "--project", "half")
    assert (code, "stopped early" in err) == (130, True)
    monkeypatch.setattr(Core, "epoch", epoch)
    accuracies = []
    for options in (("--project", "half", "--resume"), ("--project", "whole")):
        code, out, err = run_narrower(*TRAIN, *options)
        assert code == 0, err
        accuracies.append(json.loads(out)["validation_accuracy"])
    assert accuracies[0] == accuracies[1]
    code, _, err = run_narrower(*TRAIN, "--project", "half", "--resume")
    assert (code, "no training that did not end" in err) == (2, True)


def test_distilling_needs_a_model_to_learn_from(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower(*TRAIN, "--distillation", "0.5")
    assert (code, "distillation: found 0.5, but there is no trained float model" in err) == (2, True)
    assert not Path("runs").exists()
