"""Files written for MASE/chop, from the command line."""

from pathlib import Path

import pytest
import torch

from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

FEW = {"layers": ("seq_blocks_5",), "biases": "[8]"}  # 6 plans


def changed(*changes: tuple[str, str], top: str = "", **settings: object) -> Path:
    path = settings_file(Path("a.toml"), **{**FEW, **settings})  # type: ignore[arg-type]
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(top + text, encoding="utf-8")
    return path


def test_without_a_gpu_check_and_search_go_on_with_one_warning(
    run_narrower: RunNarrower, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = changed(top='accelerator = "gpu"\n')
    for command in (
        ("check", config),
        ("search", "--config", config, "--load", trained),
        ("search", "--config", config),
    ):
        code, _, err = run_narrower(*command)
        assert code == 0, err
        assert err.count("warning: accelerator: found 'gpu'") == 1


def test_seeds_that_match_no_layer_are_passed_over_with_one_warning(run_narrower: RunNarrower) -> None:
    seeds = {"linear": "name", "seq_blocks_3": "name", "seq_blocks_5": "type", "relu": "type"}
    for by in ("name", "type"):
        layers = tuple(seeds) if by == "name" else ("linear", "seq_blocks_5", "relu")
        config = changed(('by = "name"', f'by = "{by}"'), layers=layers)
        code, out, err = run_narrower("check", config)
        assert code == 0, err
        assert "space: 6 plans" in out if by == "name" else "space: 216 plans" in out
        (warning,) = [line for line in err.splitlines() if "passed over" in line]
        for seed in layers:
            matches = seed == ("seq_blocks_5" if by == "name" else "linear")
            assert (f"seed.{seed}" in warning) != matches


def test_a_misspelt_layer_among_others_is_passed_over_with_the_nearest_name(
    run_narrower: RunNarrower,
) -> None:
    code, out, err = run_narrower("check", changed(layers=("seq_blocks_2", "seq_block_5")))
    assert code == 0
    assert "space: 6 plans" in out
    assert "seed.seq_block_5 (did you mean 'seq_blocks.5'?)" in err


def test_where_no_seed_matches_each_is_named(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("check", changed(layers=("seq_block_2", "linear")))
    assert code == 2
    assert "seed.seq_block_2: jsc-toy has no layer 'seq_block_2' (did you mean 'seq_blocks.2'?)" in err
    assert "seed.linear: jsc-toy has no layer 'linear'" in err


def test_weights_of_another_machine_are_left_out_by_check_and_refused_by_search(
    run_narrower: RunNarrower,
) -> None:
    for name in ("/home/someone/mase_output/best.ckpt", "mase_output/x.ckpt", "a" * 5000):
        config = changed(top=f'load_name = "{name}"\nload_type = "pl"\n')
        code, out, err = run_narrower("check", config)
        assert code == 0, err
        assert "space: 6 plans" in out
        assert "warning: load_name: " in err
        assert "is not on this machine" in err
        code, _, err = run_narrower("search", "--config", config)
        assert code == 2
        assert err.startswith("error: a.toml:1: load_name: ")
        for way_out in ("--load FILE", "load_name = a file", "no load_name at all"):
            assert way_out in err
    assert not Path("runs").exists()


def test_a_layer_may_have_hundreds_of_thousands_of_combinations(
    run_narrower: RunNarrower, trained: Path
) -> None:
    eight = "[" + ", ".join(map(str, range(1, 9))) + "]"
    config = changed(weights=eight, biases=eight, sampler="tpe", setup="n_trials = 6")
    text = config.read_text(encoding="utf-8").replace('["NA"]\nw', f"{eight}\nw").replace("[4, 8]", eight)
    text = text.replace('_frac_width = ["NA"]', f"_frac_width = {eight}")
    config.write_text(text, encoding="utf-8")
    code, out, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    assert "tpe: 6 of 262,144" in out + err
    for shown in (("show", "runs/toy", "--csv", "--all"), ("report", "runs/toy"), ("runs",)):
        code, out, err = run_narrower(*shown)
        assert code == 0, err
    config.write_text(
        text.replace('"tpe"', '"brute_force"').replace("n_trials = 6", "n_trials = 300000"), encoding="utf-8"
    )
    for command in (("check", config), ("search", "--config", config, "--load", trained)):
        code, _, err = run_narrower(*command)
        assert code == 2
        assert "search.strategy.setup.sampler: brute_force tries every plan, and there are 262,144" in err
