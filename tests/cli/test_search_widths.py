"""Searches over widths, from file to artefact."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import narrower
from narrower.data.datasets import DataSet, load_data_set
from narrower.export.compressed import load_parts
from narrower.preparation.settings import CandidateSettings
from narrower.training.recipe import Recipe
from tests.conftest import RunNarrower
from tests.docs.console import ROOT

PEER = (ROOT / "configs" / "jsc-widths.toml").read_text(encoding="utf-8")
JOINT = (ROOT / "configs" / "jsc-bits-and-widths.toml").read_text(encoding="utf-8")


def written(text: str, *changes: tuple[str, str]) -> Path:
    for old, new in (("max_epochs = 4", "max_epochs = 1"), ("n_seeds = 3", "n_seeds = 1"), *changes):
        assert old in text, old
        text = text.replace(old, new)
    Path("widths.toml").write_text(text, encoding="utf-8")
    return Path("widths.toml")


def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(Path("runs").glob("*/front.json")).read_text(encoding="utf-8"))
    return found


def test_a_file_of_the_peer_trains_every_network_and_keeps_the_front(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--config", written(PEER))
    assert code == 0, err
    found = record()
    assert found["completeness"] == "complete: 16 of 16"  # the multipliers of input_only change nothing
    assert "scratch, 1 epochs, up to 64 at once" in err
    validation = load_data_set("jets").validation
    for member in found["members"]:
        assert member.get("alone_accuracy") is None  # delivered is what was scored, not trained once more
        model, _ = load_parts(Path("runs/jsc-widths") / member["weights"])
        with torch.inference_mode():
            is_right = model.eval()(validation.inputs).argmax(dim=1) == validation.targets
        assert is_right.double().mean().item() == pytest.approx(member["metrics"]["accuracy"], abs=1e-4)
        widths = [m.out_features for m in model.modules() if isinstance(m, torch.nn.Linear)]
        plan = member["plan"]
        asked = [round(16 * plan.get(f"seq_blocks.{n}", {}).get("width", 1)) for n in (2, 4)]
        assert widths == [*asked, 5]
        macs = 16 * asked[0] + asked[0] * asked[1] + asked[1] * 5
        assert member["metrics"]["macs"] == macs


def test_the_target_structure_is_reachable(run_narrower: RunNarrower) -> None:
    """16-32-64-5: the first layer's outputs twice, the second's four times."""
    config = written(
        PEER,
        ("channel_multiplier = [0.25, 0.5, 1, 2]", "channel_multiplier = [2]"),
        ("channel_multiplier = [0.25, 0.5, 1, 4]", "channel_multiplier = [4]"),
    )
    code, _, err = run_narrower("search", "--config", config)
    assert code == 0, err
    (member,) = record()["members"]
    assert member["metrics"]["macs"] == 16 * 32 + 32 * 64 + 64 * 5
    number = member["number"]
    code, out, err = run_narrower("export", "runs/jsc-widths", "--trial", number, "--samples", 1000, "--json")
    assert code == 0, err
    assert json.loads(out)["checks"][0]["differing_classes"] == 0


def test_the_same_seed_gives_the_same_trials_whatever_is_trained_together(run_narrower: RunNarrower) -> None:
    outcomes = []
    for batch in (1, 5):
        config = written(
            PEER,
            ('sampler = "brute_force"', f'sampler = "brute_force"\nbatch = {batch}'),
            ('project = "jsc-widths"', f'project = "batch-{batch}"'),
        )
        assert run_narrower("search", "--config", config)[0] == 0
        found = json.loads(Path(f"runs/batch-{batch}/front.json").read_text(encoding="utf-8"))
        outcomes.append([(member["plan_index"], member["metrics"]) for member in found["members"]])
        Path(f"runs/batch-{batch}").rename(f"batch-{batch}")  # so that nothing is taken over
    assert outcomes[0] == outcomes[1]


def test_widths_and_formats_together(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--config", written(JOINT, ("n_trials = 200", "n_trials = 30")))
    assert code == 0, err
    member = record()["members"][0]
    assert run_narrower("pick", "runs/jsc-bits-and-widths", "--knee")[0] == 0
    code, out, err = run_narrower(
        "pick", "runs/jsc-bits-and-widths", "--max", f"bitops={member['metrics']['bitops']}"
    )
    assert code == 0, err
    Path("picked.toml").write_text(out, encoding="utf-8")
    code, _, err = run_narrower("transform", "--config", "picked.toml", "--output", "m.safetensors")
    assert code == 0, err
    model = narrower.load_compressed("m.safetensors")
    assert model(torch.zeros(2, 16)).shape == (2, 5)


def test_weights_of_the_model_are_scored_without_training(run_narrower: RunNarrower) -> None:
    growing = written(
        PEER,
        ("eval_mode = false", "eval_mode = true"),
        ('weights = "scratch"\nn_seeds = 1\nkeep = "best"', 'weights = "net2net"'),
        ("channel_multiplier = [0.25, 0.5, 1, 2]", "channel_multiplier = [1, 2]"),
        ("channel_multiplier = [0.25, 0.5, 1, 4]", "channel_multiplier = [1, 4]"),
    )
    code, _, err = run_narrower("search", "--config", growing)
    assert code == 0, err
    assert "not trained" in err
    accuracies = {round(trial["accuracy"], 3) for trial in _trials(run_narrower)}
    assert len(accuracies) == 1  # the function is preserved


def _trials(run_narrower: RunNarrower) -> list[dict[str, float]]:
    _, out, _ = run_narrower("show", "runs/jsc-widths", "--csv", "--all")
    lines = out.strip().splitlines()
    column = lines[0].split(",").index("accuracy")
    return [{"accuracy": float(line.split(",")[column])} for line in lines[1:]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("eval_mode = false", "eval_mode = true", "weights: found 'scratch' with eval_mode = true"),
        ('["seq_blocks_4"]', '["seq_blocks_2"]', "the outputs of seq_blocks.4"),
        ("[0.25, 0.5, 1, 4]", "[0, 1]", "allowed: numbers above 0"),
        ("[0.25, 0.5, 1, 4]", "[0.3, 1]", "is 4.8"),
        ('["both"]', '["integer"]', "allowed in this kind of space"),
        ("graph/quantize/channel_size_modifier", "quantize", "search_space"),
    ],
)
def test_mistakes_are_explained(run_narrower: RunNarrower, old: str, new: str, said: str) -> None:
    code, _, err = run_narrower("check", written(PEER, (old, new)))
    assert code == 2
    assert said in err
    assert "widths.toml:" in err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["input_only"]', '["output_only"]', "seq_blocks.6"),
        ('name = ["both"]', 'name = ["both"]\nweight_width = [8]', "weight_width"),
    ],
)
def test_what_files_of_the_peer_may_say_without_effect_is_a_warning(
    run_narrower: RunNarrower, old: str, new: str, said: str
) -> None:
    code, _, err = run_narrower("check", written(PEER, (old, new)))
    assert code == 0, err
    assert any(said in line for line in err.splitlines() if "warning" in line), err
    renamed = ("graph/quantize/channel_size_modifier", "resize")  # our own name: a mistake
    code, _, err = run_narrower("check", written(PEER, (old, new), renamed))
    assert (code, said in err) == (2, True), err


def test_from_python(jets: DataSet) -> None:
    result = narrower.search(
        "jsc-three-linear-relu",
        jets,
        {"seq_blocks.2": {"width": [0.5, 1], "weight": [4, 8]}},
        ["accuracy", "bitops"],
        candidates=CandidateSettings(training=Recipe(max_epochs=1), seeds=2),
        samples=500,
    )
    assert result.record.summary.space_size == 4
    assert "mean of 2 seeds" in (result.record.summary.training or "")
    assert all("accuracy_spread" in row for row in result.front)


def test_batch_norms_are_not_folded_where_widths_are_searched(run_narrower: RunNarrower) -> None:
    folded = ("[search.search_space.setup]", '[search.search_space.setup]\nbatch_norm = "fold"')
    code, _, err = run_narrower("check", written(PEER, folded))
    assert code == 2
    assert "batch_norm: found 'fold'" in err
