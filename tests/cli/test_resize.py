"""``narrower groups`` and ``narrower resize``."""

import json
from pathlib import Path

import pytest
import torch

from narrower.study.resized_files import load_resized
from tests.conftest import RunNarrower


def test_groups_are_printed_with_what_holds_them(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("groups", "jsc-three-linear-relu", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(group["name"], group["width"]) for group in found] == [
        ("seq_blocks.2", 16),
        ("seq_blocks.4", 16),
        ("seq_blocks.6", 5),
    ]
    assert found[2]["reasons"] == ["it is an output of the model"]


def test_resizing_prints_both_and_saves(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower(
        "resize",
        "jsc-three-linear-relu",
        "--set",
        "seq_blocks_2=2",
        "--channels",
        "seq_blocks.4=64",
        "--json",
    )
    assert code == 0, err
    layers = {row["layer"]: row for row in json.loads(out)["layers"]}
    assert (layers["seq_blocks.4"]["parameters"], layers["seq_blocks.4"]["parameters_after"]) == (
        272,
        32 * 64 + 64,
    )
    assert layers["seq_blocks.6"]["macs_after"] == 64 * 5
    loaded = load_resized("resized.safetensors")
    assert loaded(torch.zeros(2, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["nothing to resize"]),
        (["--set", "seq_blocks.2"], ["--set", "seq_blocks.2", "fc=2"]),
        (["--set", "seq_blocks.2=0"], ["seq_blocks.2", "above 0"]),
        (["--set", "seq_blocks.2=0.3"], ["seq_blocks.2", "whole number"]),
        (["--set", "seq_blocks.6=2"], ["seq_blocks.6", "output"]),
        (["--set", "seq_block.2=2"], ["seq_block.2", "seq_blocks.2"]),
        (["--set", "seq_blocks_3=2"], ["seq_blocks_3", "a ReLU", "layer before", "seq_blocks.2"]),
        (["--channels", "seq_blocks.2=1.5"], ["seq_blocks.2", "whole number"]),
        (["--set", "seq_blocks.2=2", "--output", "a.bin"], ["--output", ".safetensors"]),
    ],
)
def test_mistakes(run_narrower: RunNarrower, options: list[str], words: list[str]) -> None:
    code, _, err = run_narrower("resize", "jsc-three-linear-relu", *options)
    assert code == 2
    assert all(word in " ".join(err.split()) for word in words), err
    assert not list(Path().glob("*.safetensors"))


def test_a_model_of_ones_own_needs_a_shape(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("groups", "torch.nn:Identity")
    assert code == 2
    assert "--shape" in err
