"""``[sw_runner.basic_train]`` of MASE/chop says how candidates are trained."""

from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.preparation.settings import CandidateSettings, RetrainedSettings
from narrower.settings.basic_train import BasicTrain, basic_train_notes
from narrower.settings.convert_preparation import preparation_settings
from narrower.settings.load import load_settings
from tests.settings.test_load import VALID

TABLE = """
[search.{place}sw_runner.basic_train]
data_loader = "train_dataloader"
name = "accuracy"
num_samples = 1000
max_epochs = 3
optimizer = "Adam"
lr_scheduler = "constant_with_warmup"
learning_rate = 1e-3
num_warmup_steps = 5
"""


def load(text: str) -> object:
    Path("run.toml").write_text(text, encoding="utf-8")
    return preparation_settings(load_settings(Path("run.toml")).settings)


@pytest.mark.parametrize("place", ["strategy.", ""])
def test_the_recipe_of_plans_has_what_the_table_says(place: str) -> None:
    text = VALID.replace(
        "[search.strategy.setup]", TABLE.format(place=place) + "\n[search.strategy.setup]", 1
    )
    if not place:  # both runners stand there
        text = text.replace("search.strategy.sw_runner.basic_evaluation", "search.sw_runner.basic_evaluation")
    text = text.replace("eval_mode = true", "eval_mode = false")
    assert "eval_mode = false" in text
    found = load(text)
    assert isinstance(found, RetrainedSettings)
    recipe = found.training
    assert (recipe.optimizer, recipe.schedule, recipe.learning_rate) == ("adam", "constant", 1e-3)
    assert (recipe.warmup_steps, recipe.max_epochs) == (5, 3)
    assert recipe.max_steps == 3 * -(-1000 // recipe.batch_size)


RESIZE = """
model = "jsc-three-linear-relu"
dataset = "jets"
max_epochs = 7
batch_size = 64
[search.search_space]
name = "graph/quantize/channel_size_modifier"
[search.search_space.seed.seq_blocks_2.config]
name = ["output_only"]
channel_multiplier = [1, 2]
[search.strategy]
eval_mode = false
[search.strategy.setup]
sampler = "tpe"
n_trials = 3
[search.strategy.metrics]
accuracy.scale = 1.0
"""


def test_resized_candidates_take_it_and_their_own_table_comes_after() -> None:
    table = TABLE.format(place="strategy.")
    found = load(RESIZE + table)
    assert isinstance(found, CandidateSettings)
    assert found.training is not None
    assert (found.training.max_epochs, found.training.batch_size, found.training.warmup_steps) == (3, 64, 5)
    own = load(RESIZE + table + "[search.strategy.training]\nn_epochs = 2\n")
    assert isinstance(own, CandidateSettings)
    assert own.training is not None
    assert (own.training.max_epochs, own.training.learning_rate) == (2, 1e-3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('optimizer = "adan"', "optimizer: found 'adan' (did you mean 'adam'?)"),
        ('lr_scheduler = "polynomial"', "nearest: 'linear'"),
        ("num_warmup_step = 3", "unknown key (did you mean 'num_warmup_steps'?)"),
        ("max_epochs = 0", "max_epochs: found 0"),
        ('data_loader = "train"', "data_loader: found 'train'"),
    ],
)
def test_what_it_cannot_say_is_refused(line: str, said: str) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(
        row for row in TABLE.format(place="strategy.").splitlines() if not row.startswith(f"{key} ")
    )
    text = VALID.replace("[search.strategy.setup]", f"{kept}\n{line}\n\n[search.strategy.setup]", 1)
    with pytest.raises(SettingsError) as raised:
        load(text)
    assert said in str(raised.value)
    assert "sw_runner.basic_train" in str(raised.value)


def test_one_note_names_what_has_no_effect() -> None:
    table = BasicTrain(name="loss", data_loader="val_dataloader", max_epochs=2, gradient_accumulation_steps=4)
    (note,) = basic_train_notes(table, trains=True)
    assert all(key in note for key in ("name (", "data_loader (", "gradient_accumulation_steps ("))
    assert "max_epochs" not in note
    assert basic_train_notes(BasicTrain(max_epochs=2), trains=True) == ()
    (note,) = basic_train_notes(BasicTrain(max_epochs=2), trains=False)
    assert "eval_mode = true" in note
