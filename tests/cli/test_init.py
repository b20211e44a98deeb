"""``narrower init`` writes settings that check and search take as they are."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from narrower.settings.load import load_settings
from tests.conftest import RunNarrower

MINE = """
from torch import nn

def small():
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 2))

def one():
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 1))
"""


@pytest.fixture(autouse=True)
def _mine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("first_models.py").write_text(MINE, encoding="utf-8")
    chance = np.random.default_rng(0)
    lines = ["a,d,price,good"]
    for a, d in chance.normal(size=(400, 2)):
        lines.append(f"{a},{d},{a - d},{'yes' if a + d > 0 else 'no'}")
    Path("sales.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_table_and_a_model_become_settings_that_are_searched(run_narrower: RunNarrower) -> None:
    data = "sales.csv?target=good&features=a,d"
    code, out, err = run_narrower("init", "first_models:small", data)
    assert code == 0, err
    assert "81 plans" in out  # three widths of data and three of weights in each of two layers
    text = Path("search.toml").read_text(encoding="utf-8")
    assert "Linear, 18 parameters, 50% of the multiply-accumulates" in text  # 2 x 6 + 6, and 12 of 24
    settings = load_settings(Path("search.toml")).settings
    assert settings.model == "first_models:small"
    setup = settings.search.search_space.setup
    assert (setup.sign, setup.batch_norm) == ("auto", "fold")
    code, _, err = run_narrower("search", "--config", "search.toml", "--trials", 4, "--samples", 50)
    assert code == 0, err


def test_a_regression_is_searched_by_its_own_metric(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("init", "first_models:one", "sales.csv?features=a,d", "--target", "price")
    assert code == 0, err
    assert 'mse.direction = "minimize"' in Path("search.toml").read_text(encoding="utf-8")


def test_what_does_not_fit_leaves_no_file(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("init", "first_models:small", "jets")
    assert code == 2
    assert "16" in err
    assert not Path("search.toml").exists()


def test_many_layers_are_listed_under_one_pattern(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("init", "jsc-s", "jets", "--output", "jets.toml")
    assert code == 0, err
    assert 'sampler = "guided"' in Path("jets.toml").read_text(encoding="utf-8")
    assert "uniform_first = true" in Path("jets.toml").read_text(encoding="utf-8")


def test_a_file_is_never_written_over(run_narrower: RunNarrower) -> None:
    Path("search.toml").write_text("mine", encoding="utf-8")
    code, _, err = run_narrower("init", "jsc-toy", "jets")
    assert code == 2
    assert "--output" in err
    assert Path("search.toml").read_text(encoding="utf-8") == "mine"


def test_of_few_samples_there_are_more_epochs_and_smaller_batches(run_narrower: RunNarrower) -> None:
    rows = [f"{n % 7},{n % 5},{'ab'[n % 2]}" for n in range(500)]
    Path("few samples.csv").write_text("\n".join(["x,y,kind", *rows]) + "\n", encoding="utf-8")
    assert run_narrower("init", "toy", "few samples.csv", "--target", "kind")[0] == 0
    settings = tomllib.loads(Path("search.toml").read_text(encoding="utf-8"))
    batches = 320 // settings["batch_size"]  # 64 % of the samples train
    assert batches >= 20
    assert settings["max_epochs"] * batches >= 1_000
    assert run_narrower("init", "jsc-toy", "jets", "--output", "jets.toml")[0] == 0
    settings = tomllib.loads(Path("jets.toml").read_text(encoding="utf-8"))
    assert (settings["max_epochs"], settings["batch_size"]) == (10, 256)


def test_a_network_of_named_widths_takes_a_table_as_it_is_and_its_notes_are_said_once(
    run_narrower: RunNarrower,
) -> None:
    code, out, err = run_narrower("init", "mlp:6-4", "sales.csv?features=a,d", "--target", "price")
    assert code == 0, err
    assert err.count("task = 'regression'") == 1
    assert "macs" in out
    assert "40" in out  # multiply-accumulates: 2 x 6 + 6 x 4 + 4 x 1
    code, _, err = run_narrower("search", "--config", "search.toml", "--trials", 2, "--set", "max_epochs=1")
    assert code == 0, err
    (front,) = Path("runs").glob("*/front.json")
    assert front.parent.name == "mlp-6-4-sales"
    code, _, err = run_narrower("export", front.parent)  # its weights are read back by the name
    assert code == 0, err
