"""Parts of a search that are merged are the whole search."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunNarrower

OPTIONS = (
    *("--model", "jsc-toy", "--dataset", "jets", "--samples", "300", "--layers", r"seq_blocks\.[25]"),
    *("--data-widths", "4,8", "--weight-widths", "2,4,8", "--bias-widths", "8"),
)


def front(run: str) -> str:
    return json.dumps(json.loads(Path("runs", run, "front.json").read_text())["members"], sort_keys=True)


@pytest.mark.parametrize("sampler", [("brute_force",), ("random", "--trials", "17")])
def test_parts_give_the_front_of_the_whole(
    sampler: tuple[str, ...], trained: Path, run_narrower: RunNarrower
) -> None:
    search = ("search", *OPTIONS, "--load", str(trained), "--sampler", *sampler)
    parts = [f"part-{part}" for part in (1, 2, 3)]
    for number, part in enumerate(parts, start=1):
        assert run_narrower(*search, "--part", f"{number}/3", "--project", part)[0] == 0
    # Without this, the whole search would take over what the parts have scored.
    Path("runs").rename("parts")
    assert run_narrower(*search, "--project", "whole")[0] == 0
    code, _, _ = run_narrower("merge", *(f"parts/{part}" for part in reversed(parts)), "--project", "merged")
    assert code == 0
    assert front("merged") == front("whole")
    whole, merged = (json.loads(Path("runs", run, "front.json").read_text()) for run in ("whole", "merged"))
    for key in ("trials", "exhausted", "space_size", "stopped"):
        assert whole["summary"][key] == merged["summary"][key]


def test_runs_of_other_samples_are_not_joined(trained: Path, run_narrower: RunNarrower) -> None:
    search = ("search", *OPTIONS, "--load", str(trained), "--sampler", "random", "--trials", "5")
    for samples in ("300", "200"):
        assert run_narrower(*search, "--samples", samples, "--project", f"s{samples}")[0] == 0
    code, _, err = run_narrower("merge", "runs/s300", "runs/s200")
    assert code == 2
    assert "runs/s200: its samples and batch size are not those of runs/s300" in " ".join(err.split())
    code, _, err = run_narrower("search", "--resume", "runs/s300", "--part", "1/2")
    assert code == 2


def test_seeds_are_joined_and_repeats_count_once(trained: Path, run_narrower: RunNarrower) -> None:
    search = ("search", *OPTIONS, "--load", str(trained), "--sampler", "tpe", "--trials", "12")
    for seed in ("0", "1"):
        assert run_narrower(*search, "--seed", seed, "--project", f"seed-{seed}")[0] == 0
    code, _, _ = run_narrower("merge", "runs/seed-0", "runs/seed-1", "--project", "both")
    assert code == 0
    summary = json.loads(Path("runs/both/front.json").read_text())["summary"]
    assert 12 < summary["trials"] <= 24
    code, _, err = run_narrower("search", "--resume", "runs/both")
    assert code == 2
    assert "merged from other runs" in err


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "1/x"])
def test_a_part_that_is_none_is_refused(part: str, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", *OPTIONS, "--part", part)
    assert code == 2
    assert "allowed: '1/8' to '8/8'" in " ".join(err.split())
