"""Settings files whose plans round edges, and what does not go together with that."""

from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.settings.convert_space import space_settings
from narrower.settings.load import load_settings

FILE = """
model = "digits-mlp"
dataset = "digits"

[search.search_space]
name = "quantize"
setup.quantize = "edges"

[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [4, 8]
bias_width = [8]

[search.strategy]
setup.sampler = "brute_force"
metrics.accuracy.direction = "maximize"
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "run.toml"
    path.write_text(text)
    return path


def test_operands_are_rounded_unless_a_file_says_edges(tmp_path: Path) -> None:
    assert space_settings(load_settings(written(tmp_path, FILE)).settings).on_edges
    without = FILE.replace('setup.quantize = "edges"', "")
    assert not space_settings(load_settings(written(tmp_path, without)).settings).on_edges


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'setup.quantize = "edges"',
            "setup.agree = false",
            r"agree: means nothing without quantize = 'edges'",
        ),
        ("[search.strategy]", "[search.strategy]\neval_mode = false", "eval_mode = true, no training"),
        ('name = "quantize"', 'name = "quantize_and_resize"', "where widths are searched"),
        ('"edges"', '"tensors"', "operands"),
    ],
)
def test_what_does_not_go_together_with_edges_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        space_settings(load_settings(written(tmp_path, FILE.replace(old, new, 1))).settings)
