"""Spellings that people use in files for MASE/chop mean what they mean there."""

from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.searching.samplers.catalogue import SAMPLERS, canonical_sampler
from narrower.settings.load import LoadedSettings, load_settings
from tests.settings.test_load import VALID


def load(*changes: tuple[str, str]) -> LoadedSettings:
    text = VALID
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = Path("run.toml")
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


@pytest.mark.parametrize(
    "spelling", ["brute_force", "brute-force", "bruteforce", "BruteForce", "brute", "BRUTE"]
)
def test_brute_force_has_many_spellings(spelling: str) -> None:
    setup = load(('sampler = "tpe"', f'sampler = "{spelling}"')).settings.search.strategy.setup
    assert setup.sampler == canonical_sampler(spelling) == "brute_force"


def test_every_sampler_is_found_in_capitals() -> None:
    for name in SAMPLERS:
        assert canonical_sampler(name.upper()) == name


@pytest.mark.parametrize("spelling", ["brute_", "bru-te", "t-pe", "nsga-2", "", "brute force"])
def test_a_misspelt_sampler_is_not_taken_for_another(spelling: str) -> None:
    with pytest.raises(SettingsError, match="sampler: found"):
        load(('sampler = "tpe"', f'sampler = "{spelling}"'))


def test_a_sampler_as_the_name_of_the_strategy_is_that_sampler() -> None:
    loaded = load(('name = "optuna"', 'name = "bruteforce"'))
    assert loaded.settings.search.strategy.setup.sampler == "brute_force"
    assert len(loaded.notes) == 1
    assert "'tpe' is passed over" in loaded.notes[0]
    alone = load(('name = "optuna"', 'name = "brute_force"'), ('sampler = "tpe"\n', ""))
    assert alone.settings == loaded.settings
    assert alone.notes == ()


def test_options_that_are_listed_twice_count_once_in_their_order() -> None:
    loaded = load(
        ("weight_width = [2, 4, 8]", "weight_width = [8, 8, 4, 8, 2]"),
        ('data_in_frac_width = ["NA"]', 'data_in_frac_width = ["NA", 3, "NA"]'),
    )
    config = loaded.settings.search.search_space.seed["seq_blocks_2"].config
    assert config.weight_width == (8, 4, 2)
    assert config.data_in_frac_width == ("NA", 3)
    (note,) = loaded.notes
    assert "seq_blocks_2.config.weight_width" in note
    assert "seq_blocks_2.config.data_in_frac_width" in note


def test_repeated_options_of_the_wrong_kind_are_still_wrong() -> None:
    for options in ("[true, true]", "[[4], [4]]", "[nan, nan]", "[{}, {}]"):
        with pytest.raises(SettingsError, match="weight_width: found"):
            load(("weight_width = [2, 4, 8]", f"weight_width = {options}"))


def test_the_runner_may_stand_below_search_and_the_data_loader_at_the_top() -> None:
    moved = load(("[search.strategy.sw_runner.basic_evaluation]", "[search.sw_runner.basic_evaluation]"))
    assert moved.settings == load().settings
    top = load(
        ('data_loader = "val_dataloader"\n', ""), ("model =", 'data_loader = "test_dataloader"\nmodel =')
    )
    evaluation = top.settings.search.strategy.sw_runner.basic_evaluation
    assert (evaluation.data_loader, evaluation.num_samples) == ("test_dataloader", 512)
    twice = load(("model =", 'data_loader = "test_dataloader"\nmodel ='))
    assert twice.ignored == ("data_loader",)
    assert twice.settings == load().settings


def test_a_mistake_in_what_was_moved_is_found_where_it_stands() -> None:
    with pytest.raises(SettingsError, match=r"^run\.toml:2: data_loader: found 'val'"):
        load(('data_loader = "val_dataloader"\n', ""), ("\nmodel =", '\ndata_loader = "val"\nmodel ='))
    with pytest.raises(
        SettingsError, match=r"^run\.toml:\d+: search\.sw_runner\.basic_evaluation\.num_samples"
    ):
        load(
            ("[search.strategy.sw_runner.basic_evaluation]", "[search.sw_runner.basic_evaluation]"),
            ("num_samples = 512", "num_samples = 0"),
        )


def test_the_parent_of_a_layer_has_two_names() -> None:
    loaded = load(('bias_frac_width = ["NA"]\n', 'bias_frac_width = ["NA"]\nparent = ["seq_blocks_1"]\n'))
    config = loaded.settings.search.search_space.seed["seq_blocks_2"].config
    assert config.parent_block_name == ("seq_blocks_1",)


@pytest.mark.parametrize(
    "spelling", ["jsc-three-linear-layers", "jsc_three_linear_layers", "jsc-three-linear"]
)
@pytest.mark.parametrize(
    ("seed", "model"), [("seq_blocks_4", "jsc-three-linear"), ("seq_blocks_6", "jsc-three-linear-relu")]
)
def test_the_three_layer_net_is_the_one_that_has_the_layers_that_are_named(
    spelling: str, seed: str, model: str
) -> None:
    loaded = load(('model = "jsc-toy"', f'model = "{spelling}"'), ("seed.seq_blocks_2", f"seed.{seed}"))
    assert loaded.settings.model == model
    assert len(loaded.notes) == (model == "jsc-three-linear-relu")
