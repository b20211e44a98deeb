"""A front of learned widths, on classes that a line tells apart."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from narrower.data.parts import DataSet, Part
from narrower.errors import SettingsError
from narrower.preparation.learning.chain_file import load_chain
from narrower.preparation.learning.settings import LearnSettings
from narrower.study.learned_front import LearnedRecord, learn_front
from narrower.tasks.intervals import wilson_interval
from tests.conftest import RunNarrower

QUICK = LearnSettings(
    epochs=80, cycles=4, batch_size=64, learning_rate=2e-2, last_factor=1e-2, soft_share=0.0
)

MODULE = """
import numpy as np

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 4000)
    return chance.normal(size=(4000, 4)) + 1.2 * np.eye(4)[classes], classes
"""


@pytest.fixture(scope="module")
def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.randint(0, 3, (1500,), generator=chance)
    inputs = torch.randn(1500, 4, generator=chance) + 2 * torch.eye(4)[classes]
    cuts = (slice(0, 900), slice(900, 1200), slice(1200, 1500))
    return DataSet("blobs", *[Part(inputs[cut], classes[cut]) for cut in cuts], ("a", "b", "c"))


def learned(data: DataSet, name: str = "run", settings: LearnSettings = QUICK) -> LearnedRecord:
    return learn_front(data, (6,), settings, Path(name))


def test_members_get_dearer_and_better_and_do_what_the_record_says(blobs: DataSet) -> None:
    record = learned(blobs)
    members = record.members
    first = json.loads(Path("run/learned.json").read_text())["members"][0]
    kept = first["number"], first["validation_accuracy"], first["test_accuracy"]
    assert kept == (0, members[0].validation_value, members[0].test_value)
    assert len(members) > 1
    assert [m.ebops for m in members] == sorted({m.ebops for m in members})
    accuracies = [m.validation_value for m in members]
    assert accuracies == sorted(set(accuracies))
    assert accuracies[-1] > 0.7  # chance is a third
    for member in members:
        chain = load_chain(Path("run") / member.file)
        outputs, _ = chain.whole_outputs(blobs.test.inputs.numpy())
        right = int((outputs.argmax(1) == blobs.test.targets.numpy()).sum())
        assert member.test_value == right / 300
        assert member.test_interval == wilson_interval(right, 300)
        bits = sum(
            int(width) * sum(int(abs(weight)).bit_length() for weight in row)
            for layer in chain.layers
            for width, row in zip(layer.data_widths, layer.weights, strict=True)
        )
        assert member.ebops == bits
        assert member.weights == sum(int((layer.weights != 0).sum()) for layer in chain.layers)
        assert member.all_weights == 4 * 6 + 6 * 3


def test_the_same_seed_gives_the_same_networks_and_another_seed_others(blobs: DataSet) -> None:
    first, again = learned(blobs), learned(blobs, "again")
    assert first.members == again.members
    assert learned(blobs, "other", replace(QUICK, seed=1)).members != first.members


def test_no_sample_that_scores_has_taught(blobs: DataSet) -> None:
    """With other classes for the test part the networks are the same ones."""
    shuffled = blobs.test.targets[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    other = replace(blobs, test=Part(blobs.test.inputs, shuffled), content_hash="")
    first, second = learned(blobs), learned(other, "other")
    for before, after in zip(first.members, second.members, strict=True):
        assert (before.ebops, before.validation_value) == (after.ebops, after.validation_value)
        mine, theirs = (load_chain(Path(run) / before.file) for run in ("run", "other"))
        for one, two in zip(mine.layers, theirs.layers, strict=True):
            np.testing.assert_array_equal(one.weights, two.weights)
    assert any(b.test_value != a.test_value for b, a in zip(first.members, second.members, strict=True))


def test_pictures_and_sizes_of_nothing_are_refused(blobs: DataSet) -> None:
    pictures = replace(blobs, train=Part(torch.zeros(5, 1, 2, 2), torch.zeros(5, dtype=torch.int64)))
    with pytest.raises(SettingsError, match="rows of measurements"):
        learned(pictures)
    with pytest.raises(SettingsError, match="hidden layers"):
        learn_front(blobs, (4, 0), QUICK, Path("run"))


def test_the_command_shows_the_best_member_within_each_budget(run_narrower: RunNarrower) -> None:
    Path("mine.py").write_text(MODULE)
    code, out, err = run_narrower(
        "learn",
        "mine:blobs",
        "--hidden",
        4,
        "--epochs",
        100,
        "--budgets",
        "60,150,100000",
        "--project",
        "small",
    )
    assert code == 0, err
    record = json.loads(Path("runs/small/learned.json").read_text())
    within = [[m["number"] for m in record["members"] if m["ebops"] <= budget] for budget in (60, 150, 10**5)]
    shown = list(dict.fromkeys(numbers[-1] for numbers in within if numbers))
    assert len(shown) > 1
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    assert [int(row[0]) for row in rows] == shown
    assert "everything: runs/small/" in err
    pytest.importorskip("da4ml")
    code, out, err = run_narrower("export", "runs/small", "--trial", 0, "--to", "verilog", "--samples", 1000)
    assert code == 0, err
    assert "0 of 3,000 elements differ" in out
    assert "look-up tables (da4ml)" in out
    manifest = json.loads(Path("runs/small/exports/trial-0/verilog.manifest.json").read_text())
    assert manifest["passed"]
    assert list(Path("runs/small/exports/trial-0").rglob("*.v"))
    for kind in ("onnx", "safetensors"):
        code, out, err = run_narrower("export", "runs/small", "--trial", 0, "--to", kind, "--samples", 1000)
        assert code == 0, err
        assert "every element must be equal: passed" in out
    code, _, err = run_narrower("export", "runs/small", "--trial", 999, "--to", "verilog")
    assert (code, "no member 999" in err) == (2, True), err
    # the name is taken: the next search has another
    assert run_narrower("learn", "mine:blobs", "--hidden", 4, "--epochs", 1, "--project", "small")[0] == 0
    assert Path("runs/small-2/learned.json").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hidden", "8,x"), "--hidden: expected whole numbers from 1"),
        (("--budgets", "-3"), "--budgets: expected whole numbers from 1"),
        (("--granularity", "row"), "--granularity: found 'row'; allowed: weight, channel, tensor"),
        (("--max-width", "40"), "--max-width"),
    ],
)
def test_mistakes_are_named(options: tuple[str, str], words: str, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("learn", "jets", *options)
    assert code == 2
    assert words in err
