"""Settings files: what must keep working, and what is said of mistakes."""

import re
import tomllib
from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.settings.dump import settings_text
from narrower.settings.load import load_settings

VALID = """
model = "jsc-toy"
dataset = "jets"
task = "cls"
max_epochs = 10
batch_size = 512
learning_rate = 1e-2
accelerator = "gpu"
project = "toy"
seed = 42
log_every_n_steps = 5

[search.search_space]
name = "graph/quantize/mixed_precision_ptq"

[search.search_space.setup]
by = "name"

[search.search_space.seed.default.config]
name = ["NA"]

[search.search_space.seed.seq_blocks_2.config]
name = ["integer"]
data_in_width = [4, 8]
data_in_frac_width = ["NA"]
weight_width = [2, 4, 8]
weight_frac_width = ["NA"]
bias_width = [2, 4, 8]
bias_frac_width = ["NA"]

[search.strategy]
name = "optuna"
eval_mode = true

[search.strategy.sw_runner.basic_evaluation]
data_loader = "val_dataloader"
num_samples = 512

[search.strategy.hw_runner.average_bitwidth]
compare_to = 32

[search.strategy.setup]
n_jobs = 1
n_trials = 20
timeout = 20000
sampler = "tpe"
sum_scaled_metrics = false

[search.strategy.metrics]
accuracy.scale = 1.0
accuracy.direction = "maximize"
average_bitwidth.scale = 0.2
average_bitwidth.direction = "minimize"
"""


def write(text: str) -> Path:
    path = Path("run.toml")
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_written_for_the_peer_is_accepted_as_it_is() -> None:
    loaded = load_settings(write(VALID))
    assert loaded.settings.search.strategy.setup.sampler == "tpe"
    assert loaded.settings.search.strategy.sw_runner.basic_evaluation.num_samples == 512
    assert loaded.ignored == ()


def test_resolved_settings_read_back_to_the_same() -> None:
    settings = load_settings(write(VALID)).settings
    text = settings_text(settings)
    assert tomllib.loads(text)["max_epochs"] == 10
    assert load_settings(write(text)).settings == settings


def test_hyphens_and_underscores_are_the_same_in_names() -> None:
    text = VALID.replace('"tpe"', '"brute-force"').replace('"jsc-toy"', '"jsc_toy"')
    settings = load_settings(write(text)).settings
    assert settings.search.strategy.setup.sampler == "brute_force"
    assert settings.model == "jsc-toy"


def test_a_key_without_meaning_is_passed_over_and_named() -> None:
    assert load_settings(write("num_workers = 4\n" + VALID)).ignored == ("num_workers",)


def test_the_kind_of_a_file_that_is_not_named_means_nothing() -> None:
    assert load_settings(write('load_type = "pl"\n' + VALID)).ignored == ("load_type",)
    assert load_settings(write('load_type = "pl"\nload_name = "a.ckpt"\n' + VALID)).ignored == ()


# (what is replaced, by what, what the message must hold): the peers' list of mistakes, and others
MISTAKES = [
    ("n_trials = 20\n", "", ["search.strategy.setup", "n_trials is missing"]),
    ("n_jobs = 1\n", "drop_dominated = true\n", ["drop_dominated", "brute_force, random, grid"]),
    ('sampler = "tpe"', "sampler = 3", ["sampler", "found 3", "tpe"]),
    ('sampler = "tpe"', 'sampler = "tpee"', ["'tpee'", "did you mean 'tpe'"]),
    ("weight_width = [2, 4, 8]", "weight_width = 4", ["weight_width", "found 4", "[4, 8]"]),
    ("weight_width = [2, 4, 8]", 'weight_width = ["4"]', ["weight_width", "'4'", "whole numbers from 1"]),
    ("weight_width = [2, 4, 8]", "weight_width = [0]", ["found 0"]),
    ("weight_width = [2, 4, 8]", "weight_width = [2.5]", ["found 2.5"]),
    ("weight_width = [2, 4, 8]", "weight_width = []", ["empty list"]),
    ("weight_width = [2, 4, 8]", "weight_widht = [4]", ["weight_widht", "did you mean 'weight_width'"]),
    ('model = "jsc-toy"', 'model = "jsc-tox"', ["model", "did you mean 'jsc-toy'"]),
    ('dataset = "jets"', 'dataset = "jet"', ["dataset", "did you mean 'jets'"]),
    ("max_epochs = 10", 'max_epochs = "10"', ["max_epochs", "'10'"]),
    ("max_epochs = 10", "max_epochs = 0", ["max_epochs", "found 0"]),
    ("learning_rate = 1e-2", "learning_rate = -1", ["learning_rate", "above 0"]),
    ("learning_rate = 1e-2", "learning_rate = nan", ["learning_rate"]),
    ("max_epochs = 10", "max_epochs = 1" + "0" * 30, ["max_epochs", "to 1000000000"]),
    ("learning_rate = 1e-2", "learning_rate = 1" + "0" * 400, ["learning_rate", "more than 60 digits"]),
    ("accuracy.scale = 1.0", "accuracy.scale = 0x" + "f" * 5000, ["accuracy.scale", "more than 60 digits"]),
    ("weight_width = [2, 4, 8]", "weight_width = [0x" + "f" * 5000 + "]", ["weight_width", "60 digits"]),
    ("num_samples = 512", "num_samples = 1e400", ["num_samples", "found inf"]),
    ("eval_mode = true", "eval_mode = 1", ["eval_mode", "true or false"]),
    ("[search.strategy.metrics]", "[search.strategy.metric]", ["metric", "did you mean 'metrics'"]),
    ("accuracy.scale", "acuracy.scale", ["acuracy", "did you mean 'accuracy'"]),
    ('"maximize"', '"max"', ["'max'", "maximize"]),
    ("seed = 42", "seed = -1", ["seed", "found -1"]),
    ('project = "toy"', 'project = "../toy"', ["project", "without slashes"]),
    ('project = "toy"', f'project = "{"x" * 300}"', ["project", "at most 200 bytes"]),
    ("seed = 42", 'load_type = "onnx"', ["load_type", "'onnx'", "safetensors"]),
    ("accuracy.scale", '"mine:auc".scale = 1\naccuracy.scale', ["mine:auc.direction is missing"]),
    (
        "[search.strategy.metrics]",
        "[search.strategy.constraints]\naccuracy.min = 60\n[search.strategy.metrics]",
        ["accuracy.min", "found 60", "from 0 to 1"],
    ),
    ("timeout = 20000", "timeout = 0", ["timeout", "above 0"]),
    ("[search.search_space.setup]\nby", "[search.search_space.setup]\nbuy", ["buy", "did you mean 'by'"]),
    ('by = "name"\n', 'by = "name"\nbatch_norm = "flod"\n', ["batch_norm", "did you mean 'fold'"]),
    ('name = ["integer"]', 'name = ["interger"]', ["'interger'", "integer"]),
    ("compare_to = 32", "compare_to = 16", ["compare_to"]),
    ("[search.search_space.seed.default.config]", "[search.search_space.seed.default]", ["config"]),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_one_short_message_with_file_line_and_key(old: str, new: str, said: list[str]) -> None:
    assert VALID.count(old) >= 1
    with pytest.raises(SettingsError) as caught:
        load_settings(write(VALID.replace(old, new, 1)))
    message = str(caught.value)
    assert re.match(r"run\.toml(:\d+)?: ", message)
    assert "\n" not in message
    assert len(message) < 500
    for part in said:
        assert part in message


def test_the_line_is_that_of_the_mistake() -> None:
    text = VALID.replace("weight_width = [2, 4, 8]", "weight_width = [0]")
    line = text.splitlines().index("weight_width = [0]") + 1
    with pytest.raises(SettingsError, match=rf"run\.toml:{line}: "):
        load_settings(write(text))


def test_what_is_no_toml_is_said_to_be_none() -> None:
    for text in ("model = ", "[a", "\x00", "a = 1\na = 2"):
        with pytest.raises(SettingsError, match="not valid TOML"):
            load_settings(write(text))
    Path("run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(Path("run.toml"))
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(Path("none.toml"))
