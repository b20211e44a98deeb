"""What is said where a command is given more than it takes, and what ``learn`` takes."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import RunNarrower


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("learn", "toy", "t.csv", "--target", "kind"),
            "learn [OPTIONS] [DATASET]: Train linear layers on DATASET (no MODEL",
        ),
        (("data", "jets", "more"), "data [OPTIONS]"),
        (("check", "a.toml", "b.toml"), "check [OPTIONS]"),
    ],
)
def test_too_many_arguments_are_told_what_the_command_takes(
    run_narrower: RunNarrower, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = run_narrower(*arguments)
    assert code == 2
    assert "unexpected extra argument" in err
    assert f"usage: narrower {said}" in err


def test_learn_takes_the_target_of_a_file_as_other_commands_do(run_narrower: RunNarrower) -> None:
    rows = [f"{x:.3f},{'ab'[int(x > 0)]}" for x in np.random.default_rng(0).normal(size=200)]
    Path("t.csv").write_text("\n".join(["x,kind", *rows]) + "\n", encoding="utf-8")
    code, _, err = run_narrower("learn", "t.csv", "--target", "kind", "--epochs", 2, "--hidden", "4")
    assert code == 0, err
    assert Path("runs/learned-t/learned.json").exists()
    code, _, err = run_narrower("learn", "--resume", "runs/learned-t", "--target", "kind")
    assert code == 2
    assert "--target" in err
