"""``--project`` names the new run in the same way in every command, and is refused in the same words."""

from pathlib import Path

import pytest

from tests.conftest import RunNarrower

TRAIN = ("train", "toy-tiny", "toy-tiny", "--max-epochs", "1")
EVERY = [
    TRAIN,
    ("learn", "jets"),
    ("search", "--model", "toy-tiny", "--dataset", "toy-tiny", "--weight-widths", "4"),
    ("merge", "a", "b"),
]


@pytest.mark.parametrize("command", EVERY, ids=[command[0] for command in EVERY])
@pytest.mark.parametrize("name", ["a/b", "..", "", "x" * 201])
def test_what_names_no_directory_is_refused(
    run_narrower: RunNarrower, command: tuple[str, ...], name: str
) -> None:
    code, _, err = run_narrower(*command, "--project", name)
    assert code == 2
    assert "--project" in err
    assert "found" in err
    assert "allowed" in err
    assert not Path("runs").exists()


def test_the_name_is_that_of_the_directory(run_narrower: RunNarrower) -> None:
    assert run_narrower(*TRAIN, "--project", "a_b")[0] == 0
    assert Path("runs/a_b/checkpoints/best.ckpt").is_file()


def test_a_second_search_says_where_it_is(run_narrower: RunNarrower) -> None:
    search = (
        "search", "--model", "toy-tiny", "--dataset", "toy-tiny", "--weight-widths", "4,8",
        "--project", "mine",
    )  # fmt: skip
    assert "holds a search" not in run_narrower(*search)[2]
    code, _, err = run_narrower(*search)
    assert code == 0
    assert "runs/mine holds a search: this one is runs/mine-2" in " ".join(err.split())
