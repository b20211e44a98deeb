"""``narrower finetune`` and searches that train their plans afterwards: what is said, kept and delivered."""

import json
from pathlib import Path
from typing import Any

import pytest

from narrower.training.core import Core
from tests.conftest import RunNarrower

SETTINGS = """
model = "digits-mlp"
dataset = "digits"
max_epochs = 3
batch_size = 64
project = "{project}"
[search.search_space]
name = "quantize"
[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [2, 4]
bias_width = [8]
[search.strategy]
{training}
[search.strategy.setup]
sampler = "brute_force"
[search.strategy.metrics]
accuracy = {{}}
bitops = {{}}
"""
QUICK = ("--max-epochs", "2", "--learning-rate", "0.003")


def search(run_narrower: RunNarrower, project: str, training: str = "") -> str:
    Path(f"{project}.toml").write_text(SETTINGS.format(project=project, training=training), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", f"{project}.toml")
    assert code == 0, err
    return out


def record_of(project: str) -> Any:
    return json.loads(Path(f"runs/{project}/finetuned.json").read_text(encoding="utf-8"))


def test_the_front_is_trained_shown_reported_and_exported(run_narrower: RunNarrower) -> None:
    search(run_narrower, "plain")
    code, out, err = run_narrower("finetune", "runs/plain", *QUICK, "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record == record_of("plain")
    trained = [member for member in record["members"] if member["weights"]]
    assert trained
    assert record["recipe"]["max_epochs"] == 2
    assert record["recipe"]["batch_size"] == 64  # of the run's settings
    code, out, err = run_narrower("show", "runs/plain")
    assert "accuracy before" in out
    assert "trained in their number formats" in err
    code, _, err = run_narrower("report", "runs/plain")
    assert code == 0, err
    page = Path("runs/plain/report.html").read_text(encoding="utf-8")
    assert "Trained in number formats" in page
    assert "accuracy on the samples that score" in page
    member = next(member for member in record["members"] if member["is_member"] and member["epochs"])
    drawn = [round(member["before"]["accuracy"], 6), *(round(e["value"], 6) for e in member["epochs"])]
    assert json.dumps([float(f"{value:.6g}") for value in drawn], separators=(",", ":")) in page
    number = trained[0]["number"]
    code, _, err = run_narrower("export", "runs/plain", "--trial", str(number), "--to", "safetensors")
    assert code == 0, err
    assert f"trial {number}: with the weights that it has after training" in err


def test_a_search_trains_its_front_or_all_its_plans_in_rounds(run_narrower: RunNarrower) -> None:
    table = "[search.strategy.training]\nwhen = '{}'\nn_epochs = 2\nlearning_rate = 0.003\n{}"
    assert "accuracy before" in search(run_narrower, "front", table.format("front", ""))
    members = record_of("front")["members"]
    assert any(member["was_member"] for member in members)
    assert record_of("front")["rivals"] == sum(not member["was_member"] for member in members)
    search(run_narrower, "rounds", table.format("rounds", "rounds = 2"))
    record = record_of("rounds")
    assert [plans for plans, _ in record["rounds"]] == [64, 16]
    assert record["steps"] < record["steps_of_all"] / 2
    best = [m["after"]["accuracy"] for m in record["members"] if m["is_member"] and m["after"]]
    assert best


def test_candidates_start_from_the_nearest_where_a_file_says_so(run_narrower: RunNarrower) -> None:
    """``from`` is a word of Python's: options of the command line are laid over the file all the same."""
    table = "[search.strategy.training]\nwhen = 'candidates'\nfrom = 'nearest'\nn_epochs = 1"
    Path("near.toml").write_text(SETTINGS.format(project="near", training=table), encoding="utf-8")
    code, out, err = run_narrower("check", "near.toml", "--set", "batch_size=32")
    assert code == 0, out + err
    code, out, err = run_narrower("search", "--config", "near.toml", "--trials", "20", "--sampler", "random")
    assert code == 0, out + err
    assert "from the weights of the nearest plan before it" in out + err
    assert json.loads(Path("runs/near/curves.json").read_text(encoding="utf-8"))["curves"]


def test_a_finetuning_that_was_killed_goes_on(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrower.study.tuned_states.SECONDS", 0.0)
    search(run_narrower, "a")
    command = ("finetune", "runs/a", *QUICK, "--json")
    epoch, steps = Core.epoch, []

    def killed(core: Core, *arguments: Any) -> None:
        if steps:
            raise KeyboardInterrupt
        steps.append(core.step)
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", killed)
    assert run_narrower(*command)[0] == 130
    monkeypatch.setattr(Core, "epoch", epoch)
    code, first, err = run_narrower(*command)
    assert code == 0, err
    search(run_narrower, "b")
    code, whole, err = run_narrower("finetune", "runs/b", *QUICK, "--json")
    assert json.loads(first)["members"] == json.loads(whole)["members"]


def test_what_cannot_be_is_said(run_narrower: RunNarrower) -> None:
    search(run_narrower, "plain")
    for options, said in (
        (("--trial", "99"), "no trial 99; there are 64"),
        (("--trial", "1", "--front"), "give one of --trial, --front and --all"),
        (("--optimizer", "muon"), "finetuning trains many plans with one rate"),
        (("--rounds", "2", "--patience", "1"), "rounds: plans go on where they stopped"),
        (("--optimizer", "adan"), "optimizer: expected one of"),
    ):
        code, _, err = run_narrower("finetune", "runs/plain", *options)
        assert (code, said in err) == (2, True), err


def test_settings_that_contradict_themselves_are_refused(run_narrower: RunNarrower) -> None:
    for training, said in (
        ("eval_mode = false\n[search.strategy.training]\nwhen = 'front'", "eval_mode: found false"),
        (
            "[search.strategy.training]\nwhen = 'front'\nrounds = 2",
            "training.rounds: means something with when",
        ),
        ("[search.strategy.training]\nwhen = 'rounds'\npatience = 2", "training: rounds: plans go on"),
    ):
        Path("x.toml").write_text(SETTINGS.format(project="x", training=training), encoding="utf-8")
        code, _, err = run_narrower("check", "x.toml")
        assert (code, said in err) == (2, True), err
