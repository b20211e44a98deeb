"""``[search.strategy.training]`` for number formats: when plans are trained, and what contradicts it."""

import re
from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.preparation.settings import (
    CrossValidatedSettings,
    PreparationSettings,
    RetrainedSettings,
    SharedSettings,
)
from narrower.settings import convert_preparation
from narrower.settings.dump import settings_text
from narrower.settings.load import load_settings
from narrower.training.recipe import Recipe

FILE = """
model = "jsc-toy"
dataset = "jets"
[search.search_space]
name = "quantize"
[search.search_space.seed.default.config]
name = ["integer"]
weight_width = [4, 8]
[search.strategy]
eval_mode = {eval_mode}
{training}
[search.strategy.sw_runner.basic_evaluation]
data_loader = "{part}_dataloader"
[search.strategy.setup]
sampler = "random"
n_trials = 3
[search.strategy.metrics]
accuracy = {{}}
"""


def prepared(
    tmp_path: Path, training: str, eval_mode: str = "true", part: str = "val"
) -> PreparationSettings:
    path = tmp_path / "settings.toml"
    table = f"[search.strategy.training]\n{training}" if training else ""
    path.write_text(FILE.format(training=table, eval_mode=eval_mode, part=part), encoding="utf-8")
    return convert_preparation.preparation_settings(load_settings(path).settings)


def test_candidates_are_trained_where_it_is_said(tmp_path: Path) -> None:
    assert prepared(tmp_path, "") == SharedSettings()
    assert prepared(tmp_path, "", "false") == RetrainedSettings(Recipe())
    wanted = RetrainedSettings(Recipe(max_epochs=2, optimizer="sgd"))
    assert prepared(tmp_path, "when = 'candidates'\nn_epochs = 2\noptimizer = 'sgd'") == wanted
    assert prepared(tmp_path, "n_epochs = 2\noptimizer = 'sgd'", "false") == wanted
    nearest = prepared(tmp_path, "when = 'candidates'\nfrom = 'nearest'")
    assert nearest == RetrainedSettings(Recipe(), "nearest")
    assert prepared(tmp_path, "from = 'nearest'", "false") == nearest
    written = settings_text(load_settings(tmp_path / "settings.toml").settings)
    (tmp_path / "again.toml").write_text(written, encoding="utf-8")
    assert (
        convert_preparation.preparation_settings(load_settings(tmp_path / "again.toml").settings) == nearest
    )


@pytest.mark.parametrize(
    ("training", "part", "said"),
    [
        ("n_epochs = 2", "val", "training: means nothing with eval_mode = true in this kind of space"),
        ("when = 'always'", "val", "training.when: found 'always'; allowed: candidates, front, rounds"),
        (
            "when = 'candidates'\nweights = 'slice'",
            "val",
            "training.weights: means nothing in this kind of space",
        ),
        (
            "when = 'front'\nfrom = 'nearest'",
            "val",
            "training.from: means something with when = 'candidates'",
        ),
        (
            "when = 'front'\norder = 'snip'",
            "val",
            "training.order: means something with when = 'rounds' alone",
        ),
        ("when = 'rounds'\norder = 'snap'", "val", "training.order: found 'snap' (did you mean 'snip'?)"),
        (
            "when = 'candidates'\nfrom = 'best'",
            "val",
            "training.from: found 'best' (did you mean 'nearest'?)",
        ),
        ("when = 'candidates'\nn_seeds = 2", "val", "training.n_seeds: means nothing in this kind of space"),
        (
            "when = 'candidates'",
            "train",
            "data_loader: found 'train_dataloader', whose samples train the plans",
        ),
    ],
)
def test_what_contradicts_it_is_refused(tmp_path: Path, training: str, part: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        prepared(tmp_path, training, part=part)


def test_candidates_may_be_scored_in_folds_or_have_seeds(tmp_path: Path) -> None:
    assert prepared(tmp_path, "when = 'candidates'\nseeds = 3") == RetrainedSettings(Recipe(), front_seeds=3)
    folded = prepared(tmp_path, "when = 'candidates'\nfolds = 5\nfrom = 'nearest'\nn_epochs = 2")
    assert folded == CrossValidatedSettings(Recipe(max_epochs=2), "nearest", folds=5, float_recipe=Recipe())
    with pytest.raises(SettingsError, match=re.escape("strategy.training: folds: found 5 with seeds = 2")):
        prepared(tmp_path, "when = 'candidates'\nfolds = 5\nseeds = 2")


def test_rounds_may_be_ordered_by_a_proxy(tmp_path: Path) -> None:
    assert prepared(tmp_path, "when = 'rounds'\norder = 'naswot'\nrounds = 2") == SharedSettings()
    how = convert_preparation.finetuning(load_settings(tmp_path / "settings.toml").settings)
    assert (how.rounds, how.order) == (2, "naswot")
