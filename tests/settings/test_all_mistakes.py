"""Everything that is wrong with a settings file is one message: each mistake with its line and its key."""

import re
from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.settings.layers import read_layers
from narrower.settings.load import located
from narrower.settings.locate import key_lines
from narrower.study.pose import pose
from narrower.study.read import read_settings
from tests.conftest import RunNarrower
from tests.settings.test_load import VALID


def changed(*changes: tuple[str, str]) -> Path:
    text = VALID
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = Path("run.toml")
    path.write_text(text.lstrip(), encoding="utf-8")
    return path


def read_and_pose(path: Path) -> None:
    loaded = read_settings(path)
    with located(read_layers(path)):
        pose(loaded.settings)


def said(path: Path) -> dict[str, str]:
    """The line of the file that each line of the message is about, and what it says."""
    with pytest.raises(SettingsError) as caught:
        read_and_pose(path)
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"{path}: {len(lines)} mistakes"
    found = [re.fullmatch(rf"  {path}:(\d+): (.*)", line) for line in lines]
    numbers = [int(match[1]) for match in found if match]
    assert len(numbers) == len(lines)
    assert numbers == sorted(numbers)
    text = path.read_text(encoding="utf-8").splitlines()
    return {text[int(match[1]) - 1]: match[2] for match in found if match}


def test_mistakes_of_the_file_and_of_what_it_names_are_said_together() -> None:
    found = said(
        changed(
            ("max_epochs = 10", "max_epochs = 0"),
            (
                "[search.search_space.seed.seq_blocks_2.config]",
                "[search.search_space.seed.seq_block_2.config]",
            ),
            ("weight_width = [2, 4, 8]", "weight_widht = [2, 4, 8]"),
            ("num_samples = 512", "num_samples = 10000"),
            ('sampler = "tpe"', 'sampler = "tpee"'),
            (
                "average_bitwidth.scale = 0.2",
                '"none:metric".direction = "maximize"\naverage_bitwidth.scale = 0.2',
            ),
        )
    )
    assert set(found) == {
        "max_epochs = 0",
        "[search.search_space.seed.seq_block_2.config]",
        "weight_widht = [2, 4, 8]",
        "num_samples = 10000",
        'sampler = "tpee"',
        '"none:metric".direction = "maximize"',
    }
    assert "did you mean 'seq_blocks.2'" in found["[search.search_space.seed.seq_block_2.config]"]
    assert "did you mean 'weight_width'" in found["weight_widht = [2, 4, 8]"]
    assert "did you mean 'tpe'" in found['sampler = "tpee"']
    assert "8800 samples" in found["num_samples = 10000"]
    assert "No module named 'none'" in found['"none:metric".direction = "maximize"']


def test_mistakes_that_show_only_with_the_model_are_said_together() -> None:
    found = said(
        changed(
            ("num_samples = 512", "num_samples = 10000"),
            (
                "accuracy.scale = 1.0",
                "accuracy.scale = -1.0\nbitops.upper_bound = 3\nmacs.lower_bound = 9999",
            ),
            ('by = "name"', 'by = "name"\nuniform = true'),
        )
    )
    assert set(found) == {"num_samples = 10000", "accuracy.scale = -1.0", "uniform = true"}
    found = said(
        changed(
            ("num_samples = 512", "num_samples = 10000"),
            ("accuracy.scale = 1.0", "bitops.upper_bound = 3\nmacs.lower_bound = 9999"),
        )
    )
    assert set(found) == {"num_samples = 10000", "bitops.upper_bound = 3", "macs.lower_bound = 9999"}
    assert found["macs.lower_bound = 9999"].startswith("search.strategy.metrics.macs.lower_bound: found 9999")


def test_one_mistake_is_not_said_twice() -> None:
    for old, new in (
        ("[search.strategy.metrics]", "[search.strategy.metric]"),
        ("weight_width = [2, 4, 8]", "weight_widht = [2, 4, 8]"),
        ("weight_width = [2, 4, 8]", "weight_width = [0]"),
        ('name = ["integer"]', 'name = ["interger"]'),
        ('model = "jsc-toy"', 'modle = "jsc-toy"'),
        ('dataset = "jets"', 'dataset = "jet"'),
        ("[search.strategy.setup]", "[search.strategy.setpu]"),
    ):
        with pytest.raises(SettingsError) as caught:
            read_settings(changed((old, new)))
        assert "\n" not in str(caught.value)


def test_what_does_not_exist_here_is_named_with_what_comes_nearest(run_narrower: RunNarrower) -> None:
    path = changed(
        ('model = "jsc-toy"', 'model = "opt"'),
        ('dataset = "jets"', 'dataset = "wikitext2"'),
        ('"graph/quantize/mixed_precision_ptq"', '"graph/software/zero_cost"'),
        ('name = "optuna"', 'name = "rl"'),
        (
            "[search.strategy.hw_runner",
            '[search.strategy.sw_runner.zero_cost]\nmetrics = ["snip"]\n[search.strategy.hw_runner',
        ),
        ("average_bitwidth.scale = 0.2", "zen.scale = 0.2"),
    )
    code, out, err = run_narrower("check", path)
    assert (code, out) == (2, "")
    lines = err.splitlines()[1:]
    keys = [line.split(": ")[1] for line in lines]
    assert keys == [
        "model",
        "dataset",
        "search.search_space.name",
        "search.strategy.name",
        "search.strategy.sw_runner.zero_cost",
        "search.strategy.metrics.zen",
    ]
    for line, near in zip(
        lines,
        (
            "package.module:callable",
            "package.module:function",
            "resize",
            "optuna",
            "basic_evaluation",
            "synflow",
        ),
        strict=True,
    ):
        assert re.search(rf"nearest: [^;]*'{near}'", line), line


def test_lines_are_found_whatever_keys_and_values_hold() -> None:
    text = """# [no]
"a=b" = "x # no" # [no]
[t.'u.v'] # = no
w = [ 1, # ]
 2,
]
z.q."r s" = \"\"\" a
= b
[no]
\"\"\" # after
[[list]]
k = {a = 1}
'l' = '''
[x]
'''
m = "\\\\\\""
"""
    assert {path: line for path, line in key_lines(text).items() if path[-1] not in "tqz"} == {
        ("a=b",): 2,
        ("t", "u.v"): 3,
        ("t", "u.v", "w"): 4,
        ("t", "u.v", "z", "q", "r s"): 7,
        ("list",): 11,
        ("list", "k"): 12,
        ("list", "l"): 13,
        ("list", "m"): 16,
    }
