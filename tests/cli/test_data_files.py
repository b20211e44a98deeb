"""Commands on a file of the user's own: trained, checked, searched and shown, by keys or in one name."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import RunNarrower

SEARCH = """
[search.search_space]
name = "quantize"
setup = { by = "type" }
seed.linear.config = { name = ["integer"], data_in_width = [8], weight_width = [3, 8], bias_width = [8] }
[search.strategy]
setup = { sampler = "brute_force" }
metrics = { LEADING = {}, bitops = {} }
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with sales.csv: prices and whether something was sold, by shop."""
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    lines = ["kind,weight,shop,price,sold"]
    for row in range(300):
        weight = chance.normal()
        sold = "yes" if weight + 0.2 * chance.normal() > 0 else "no"
        lines.append(f"{'abc'[row % 3]},{weight:.3f},{row % 30},{3 * weight + row % 3:.2f},{sold}")
    Path("sales.csv").write_text("\n".join(lines))
    return tmp_path


def settings(leading: str, **keys: str) -> None:
    lines = ['model = "toy"', 'dataset = "sales.csv"', "max_epochs = 3", 'project = "p"', "batch_size = 32"]
    lines += [f"{key} = {value}" for key, value in keys.items()]
    Path("run.toml").write_text("\n".join(lines) + SEARCH.replace("LEADING", leading))


def test_a_file_is_trained_on_and_what_was_done_is_said(shop: Path, run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower(
        "train",
        "toy",
        "sales.csv?group=shop",
        "--target",
        "sold",
        "--max-epochs",
        "8",
        "--batch-size",
        "16",
        "--json",
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["class_names"] == ["no", "yes"]
    assert found["validation_accuracy"] > 0.7
    assert "note: task = 'classification': target 'sold' holds text" in err
    assert Path("runs/toy-sales").is_dir()


@pytest.mark.parametrize(
    ("leading", "keys"),
    [
        ("accuracy", {"target": '"sold"', "features": '["weight", "kind"]', "split": "[0.6, 0.2, 0.2]"}),
        (
            "mse",
            {"target": '"price"', "features": '["weight", "kind"]', "loss": '"huber"', "group": '"shop"'},
        ),
    ],
)
def test_a_file_is_searched_reported_and_resumed(
    shop: Path, run_narrower: RunNarrower, leading: str, keys: dict[str, str]
) -> None:
    settings(leading, **keys)
    for command in (
        ["check", "run.toml"],
        ["search", "--config", "run.toml"],
        ["show", "runs/p"],
        ["report", "runs/p"],
    ):
        code, _, err = run_narrower(*command)
        assert code == 0, err
    number = json.loads(Path("runs/p/front.json").read_text())["members"][0]["number"]
    code, _, err = run_narrower("export", "runs/p", "--trial", str(number), "--json")
    assert code == 0, err
    code, _, err = run_narrower("search", "--resume", "runs/p")
    assert code == 0, err


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"target": '"sould"'}, "did you mean 'sold'"),
        ({"target": '"sold"', "split": "[0.5, 0.1, 0.1]"}, "three shares above 0 that add up to 1"),
        ({"target": '"sold"', "group": '"shop"', "time": '"weight"'}, "leave one out"),
        ({"target": '"sold"', "loss": '"mae"'}, "trained by one loss alone"),
        ({"target": '"sold"', "missing": '"zero"'}, "allowed: fill, drop, refuse"),
    ],
)
def test_a_wrong_key_is_said_with_its_line(
    shop: Path, run_narrower: RunNarrower, keys: dict[str, str], said: str
) -> None:
    settings("accuracy", **keys)
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2
    assert said in err
    assert "run.toml:" in err


def test_wishes_of_a_file_mean_nothing_for_a_listed_set(shop: Path, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("train", "jsc-toy", "jets", "--target", "class")
    assert code == 2
    assert "target: goes with a file" in err
