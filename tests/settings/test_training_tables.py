"""The tables of a settings file that say how something is trained give one recipe."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.preparation.settings import CandidateSettings
from narrower.settings import convert, convert_preparation
from narrower.settings.dump import settings_text
from narrower.settings.load import load_settings
from narrower.settings.training_tables import RECIPE_KEYS
from narrower.training.recipe import Recipe

FILE = """
model = "jsc-toy"
dataset = "jets"
max_epochs = 7
learning_rate = 0.02
seed = 3
{training}
[search.search_space]
name = "resize"
[search.search_space.seed.default.config]
channel_multiplier = [0.5, 1]
[search.strategy]
eval_mode = false
{candidates}
[search.strategy.setup]
sampler = "random"
n_trials = 3
[search.strategy.metrics]
accuracy = {{}}
"""


def read(tmp_path: Path, training: str = "", candidates: str = "") -> tuple[Recipe, Recipe]:
    path = tmp_path / "settings.toml"
    path.write_text(FILE.format(training=training, candidates=candidates), encoding="utf-8")
    settings = load_settings(path).settings
    (tmp_path / "again.toml").write_text(settings_text(settings), encoding="utf-8")
    assert load_settings(tmp_path / "again.toml").settings == settings
    prepared = convert_preparation.preparation_settings(settings)
    assert isinstance(prepared, CandidateSettings)
    assert prepared.training is not None
    return convert.training_settings(settings), prepared.training


def test_every_field_of_a_recipe_can_be_said() -> None:
    others = {"seed", "accelerator", "log_every_n_steps"}  # of the whole file
    assert {f.name for f in fields(Recipe)} == {*RECIPE_KEYS, *others}


def test_candidates_are_trained_as_the_model_but_for_what_their_table_says(tmp_path: Path) -> None:
    model, candidates = read(
        tmp_path,
        '[training]\noptimizer = "adamw"\nweight_decay = 0.1\nbatch_size = 32',
        '[search.strategy.training]\nn_epochs = 2\nweight_decay = 0.0\nschedule = "one_cycle"',
    )
    assert model == Recipe(
        max_epochs=7, learning_rate=0.02, seed=3, batch_size=32, optimizer="adamw", weight_decay=0.1
    )
    assert candidates == Recipe(
        max_epochs=2, learning_rate=0.02, seed=3, batch_size=32, optimizer="adamw", schedule="one_cycle"
    )
    assert read(tmp_path)[0] == Recipe(max_epochs=7, learning_rate=0.02, seed=3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimiser = 'adam'", "training.optimiser: unknown key (did you mean 'optimizer'?)"),
        (
            "optimizer = 'adan'",
            "training.optimizer: found 'adan' (did you mean 'adam'?); allowed: adam, adamw",
        ),
        ("average = 1.0", "training.average: found 1.0; allowed: a number from 0, below 1"),
        ("patience = -1", "training.patience: found -1; allowed: a whole number from 0"),
        ("schedule = 3", "training.schedule: found 3; allowed: cosine, constant"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as raised:
        read(tmp_path, f"[training]\n{line}")
    assert ":8: " in str(raised.value)


def test_epochs_are_said_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="n_epochs: another name of max_epochs"):
        read(tmp_path, candidates="[search.strategy.training]\nn_epochs = 2\nmax_epochs = 3")
