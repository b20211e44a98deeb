"""Weights changed for a plan's formats, on a few training samples: by ``transform`` and while searching."""

import json
from pathlib import Path

import torch

from narrower.data.datasets import DataSet
from narrower.export.compressed import load_compressed, load_parts
from narrower.plan.formats.text import parse_format
from narrower.store.run_directory import RunDirectory
from narrower.transform.quantizers.quantize import quantize
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

PLAN = """
[plan."seq_blocks.2"]
data = "fixed(8,frac=4)"
weight = "affine(3,per=channel)"
[plan."seq_blocks.5"]
weight = "affine(3,per=channel)"
[plan."seq_blocks.8"]
weight = "affine(3,per=channel)"
"""


def test_transform_rounds_for_least_loss_and_stores_exact_weights(
    run_narrower: RunNarrower, trained: Path, jets: DataSet, tmp_path: Path
) -> None:
    config = tmp_path / "plan.toml"
    config.write_text(f'model = "jsc-toy"\nload = "{trained}"\n{PLAN}', encoding="utf-8")
    inputs, targets = jets.test.inputs[:4000], jets.test.targets[:4000]
    right = {}
    for name, options in (
        ("nearest", ()),
        ("learned", ("--adaround", "jets")),
        ("all", ("--adaround", "jets", "--correct-biases", "jets", "--estimate-norms", "jets")),
    ):
        output = tmp_path / f"{name}.safetensors"
        code, _, err = run_narrower("transform", "--config", config, "--output", output, *options)
        assert code == 0, err
        with torch.no_grad():
            outputs = load_compressed(output)(inputs)
        right[name] = int((outputs.argmax(1) == targets).sum())
        model, _ = load_parts(output)
        weight = model.state_dict()["seq_blocks.5.weight"]
        is_exact = torch.equal(quantize(weight, parse_format("affine(3,per=channel)")), weight)
        assert is_exact is (name != "nearest")
    assert right["learned"] > right["nearest"]
    assert right["all"] > right["nearest"]


def test_ways_name_one_data_set(run_narrower: RunNarrower, trained: Path, tmp_path: Path) -> None:
    config = tmp_path / "plan.toml"
    config.write_text(f'model = "jsc-toy"\nload = "{trained}"\n{PLAN}', encoding="utf-8")
    code, _, err = run_narrower(
        "transform", "--config", config, "--adaround", "jets", "--correct-biases", "digits"
    )
    assert code == 2
    assert "name different data sets (digits, jets)" in err


def test_a_search_adjusts_each_plan_and_keeps_the_weights_of_members(
    run_narrower: RunNarrower, trained: Path, jets: DataSet, tmp_path: Path
) -> None:
    config = settings_file(
        tmp_path / "toy.toml", samples=1000, weights="[2]", biases="[8]", layers=("seq_blocks_5",)
    )
    text = config.read_text(encoding="utf-8")
    accuracies = {}
    for said in ('adjust = ["norms", "rounding"]\ncalibration = "cross_entropy"', ""):
        name = "adjusted" if said else "plain"
        asked = tmp_path / f"{name}.toml"
        own = text.replace('project = "toy"', f'project = "{name}"')
        asked.write_text(own.replace('by = "name"', f'by = "name"\n{said}'), encoding="utf-8")
        code, out, err = run_narrower("search", "--config", asked, "--load", trained, "--json")
        assert code == 0, err
        accuracies[name] = max(m["metrics"]["accuracy"] for m in json.loads(out)["members"])
    assert accuracies["adjusted"] > accuracies["plain"]
    run = RunDirectory(Path("runs/adjusted"))
    best, *_ = json.loads(run.front.read_text(encoding="utf-8"))["members"]
    loaded = load_compressed(run.path / best["weights"])
    part = jets.validation.first(1000)
    with torch.no_grad():
        right = (loaded(part.inputs).argmax(1) == part.targets).double().mean()
    assert float(right) == best["metrics"]["accuracy"]


def test_plans_that_are_trained_are_not_adjusted(run_narrower: RunNarrower, tmp_path: Path) -> None:
    config = settings_file(tmp_path / "toy.toml", samples=200)
    text = config.read_text(encoding="utf-8")
    text = text.replace('by = "name"', 'by = "name"\nadjust = ["rounding"]')
    strategy = "[search.strategy]\neval_mode = false\n[search.strategy.setup]"
    config.write_text(text.replace("[search.strategy.setup]", strategy), encoding="utf-8")
    code, _, err = run_narrower("check", config)
    assert code == 2
    assert "search.search_space.setup.adjust: found ['rounding']; plans that are trained" in err
