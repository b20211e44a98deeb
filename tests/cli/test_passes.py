"""``[passes.quantize]`` of MASE/chop gives formats to the layers that a search leaves alone."""

import json
from pathlib import Path

import pytest

from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

PASS = """
[passes.quantize]
by = "{by}"
report = true
[passes.quantize.default.config]
name = "{default}"
{widths}
[passes.quantize.{layer}.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
weight_width = 8
weight_frac_width = 6
bias_width = 8
bias_frac_width = 5
"""
WEIGHTS = {"seq_blocks.2": 16 * 8, "seq_blocks.5": 8 * 8, "seq_blocks.8": 8 * 5}  # jsc-toy


def config_with(text: str, **settings: object) -> Path:
    path = settings_file(Path("a.toml"), **settings)  # type: ignore[arg-type]
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("by", "layer", "fixed"),
    [
        ("type", "linear", {"seq_blocks.5", "seq_blocks.8"}),
        ("name", "seq_blocks_8", {"seq_blocks.8"}),
        ("name", "seq_blocks_2", set()),  # which the search decides
        ("name", "linear", set()),
    ],
)
def test_layers_that_are_left_alone_have_its_formats_in_every_plan(
    run_narrower: RunNarrower, trained: Path, by: str, layer: str, fixed: set[str]
) -> None:
    text = PASS.format(by=by, layer=layer, default="NA", widths="")
    config = config_with(text, layers=("seq_blocks_2",), weights="[2, 4]", biases="[8]")
    code, out, err = run_narrower("check", config, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["space_size"] == 2 * 2  # data 4 or 8, weights 2 or 4

    def mean(searched: int) -> float:
        bits = {name: 8 if name in fixed else 32 for name in WEIGHTS} | {"seq_blocks.2": searched}
        return sum(WEIGHTS[name] * width for name, width in bits.items()) / sum(WEIGHTS.values())

    assert found["ranges"]["average_bitwidth"] == pytest.approx([mean(2), mean(4)])
    (note,) = [line for line in err.splitlines() if "passes.quantize: " in line]
    assert ("has no effect" in note) == (not fixed)
    assert all(name in note for name in fixed)
    if not fixed:
        return
    code, _, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    front = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))
    for member in front["members"]:
        for name in fixed:
            assert member["plan"][name] == {
                "data": "fixed(8,frac=4)",
                "weight": "fixed(8,frac=6)",
                "bias": "fixed(8,frac=5)",
            }
    code, _, err = run_narrower("search", "--resume", "runs/toy")
    assert code == 0, err


def test_a_default_is_for_all_other_layers_and_widths_are_left_alone(run_narrower: RunNarrower) -> None:
    widths = "data_in_width = 6\ndata_in_frac_width = 3\nweight_width = 6\nweight_frac_width = 3"
    text = PASS.format(by="name", layer="seq_blocks_8", default="integer", widths=widths)
    config = config_with(text, layers=("seq_blocks_2",), weights="[4]", biases="[8]")
    code, out, err = run_narrower("check", config, "--json")
    assert code == 0, err
    mean = (128 * 4 + 64 * 6 + 40 * 8) / 232
    assert json.loads(out)["ranges"]["average_bitwidth"] == pytest.approx([mean, mean])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'name = "integer"\ndata_in_width = 8',
            'name = "intger"\ndata_in_width = 8',
            "'intger' (did you mean 'integer'?)",
        ),
        (
            "weight_width = 8\nweight_frac_width = 6",
            "weight_widht = 8\nweight_frac_width = 6",
            "'weight_width'",
        ),
        (
            "weight_width = 8\nweight_frac_width = 6",
            "weight_width = [8, 4]",
            "weight_width: found [8, 4]; a fixed plan",
        ),
        ("weight_width = 8\nweight_frac_width = 6\n", "", "weight_width: missing"),
        ('by = "type"', 'by = "kind"', "by: found 'kind'"),
        ('by = "type"', "buy = 3", "did you mean 'by'?"),
    ],
)
def test_a_mistake_is_found_where_it_stands(run_narrower: RunNarrower, old: str, new: str, said: str) -> None:
    text = PASS.format(by="type", layer="linear", default="NA", widths="")
    assert old in text
    path = config_with(text.replace(old, new, 1), layers=("seq_blocks_2",))
    lines = path.read_text(encoding="utf-8").splitlines()
    code, _, err = run_narrower("check", path)
    assert code == 2
    (place,) = [line for line in err.splitlines() if said in line]
    number = int(place.split("a.toml:")[1].split(":")[0])
    assert lines.index("[passes.quantize]") < number
    assert "passes.quantize" in place
    assert ".seed." not in place
