"""What plans do not reach is named by every command, and a search does not begin where that is much."""

from pathlib import Path

import pytest

import narrower
from narrower.errors import SettingsError
from tests.conftest import RunNarrower

MINE = """
import numpy as np
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(6, 4, batch_first=True)
        self.head = nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

def tagger():
    return Tagger()

class Wide(Tagger):
    def __init__(self):
        super().__init__()
        self.last, self.out = nn.Linear(3, 4), nn.Linear(4, 3)
    def forward(self, x):
        return self.out(self.last(super().forward(x)).relu())

def wide():
    return Wide()

class Strange(nn.Sequential):
    def forward(self, x):
        return super().forward(torch.fft.rfft(x.flatten(1)).real)

def strange():
    return Strange(nn.Linear(16, 3))

class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.wide, self.head = nn.RNN(6, 1, batch_first=True), nn.Linear(30, 200), nn.Linear(201, 3)
    def forward(self, x):
        return self.head(torch.cat([self.rnn(x)[0][:, -1], self.wide(x.flatten(1))], 1))

def large():
    return Large()

def tracks():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 300)
    return (chance.normal(size=(300, 5, 6)) + classes[:, None, None]).astype("float32"), classes
"""
FILE = """
model = "uncounted_of_mine:{model}"
dataset = "uncounted_of_mine:tracks"
max_epochs = 6
batch_size = 32
[search.search_space]
name = "quantize"
[search.search_space.setup]
by = "name"
[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [4]
bias_width = [8]
[search.strategy.setup]
sampler = "brute_force"
allow_uncounted = {allowed}
[search.strategy.metrics]
accuracy.direction = "maximize"
bitops.direction = "minimize"
"""
NAMED = "rnn (gru, 600 of 612 macs, 98.0 %): no plan quantizes it"
REFUSED = "98.0 % of the macs of uncounted_of_mine:tagger is in layers that no plan changes: rnn (gru)"


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uncounted_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


def settings(model: str = "tagger", *, allowed: bool = False) -> str:
    Path("search.toml").write_text(FILE.format(model=model, allowed=str(allowed).lower()))
    return "search.toml"


def test_check_profile_and_resize_name_the_layer_and_its_share(run_narrower: RunNarrower) -> None:
    for command in (
        ("check", settings()),
        ("profile", "uncounted_of_mine:tagger", "uncounted_of_mine:tracks"),
        ("resize", "uncounted_of_mine:wide", "--shape", "5,6", "--set", "last=2"),
    ):
        code, _, err = run_narrower(*command)
        assert code == 0, err
        assert "rnn (gru, 600 of 6" in err, command


def test_a_search_refuses_it_before_anything_is_trained(
    run_narrower: RunNarrower,
) -> None:
    code, _, err = run_narrower("search", "--config", settings())
    assert code == 2
    assert NAMED in err
    assert REFUSED in err
    assert "--allow-uncounted" in err
    assert "training" not in err
    assert not Path("runs").exists()


def test_an_option_and_a_key_allow_it_and_the_costs_hold_the_layer(run_narrower: RunNarrower) -> None:
    for allowed, options in ((True, ()), (False, ("--allow-uncounted",))):
        code, _, err = run_narrower("search", "--config", settings(allowed=allowed), *options)
        assert code == 0, err
        assert NAMED in err
        assert f"bitops {612 * 32 * 32:,}" in err


def test_compare_names_it(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("compare", "--config", settings(), "--samplers", "random", "--seeds", "2")
    assert code == 0, err
    assert NAMED in err


def test_less_than_one_in_a_hundred_is_named_and_searched(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--config", settings("large"))
    assert code == 0, err
    assert "rnn (rnn_tanh, 35 of 6,638 macs, 0.5 %)" in err


def test_an_operator_without_a_rule_is_an_unknown_share(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--config", settings("strange"))
    assert code == 2
    assert "fft_rfft (fft_rfft): no rule says what it computes" in err
    assert "its macs and bitops if it multiplies matrices" in err
    assert "an unknown share of the macs" in err


def test_the_function_refuses_it_in_its_own_words(tmp_path: Path) -> None:
    arguments = ("uncounted_of_mine:tagger", "uncounted_of_mine:tracks", {"head": {"data": [4, 8]}})
    with pytest.raises(SettingsError, match="to search all the same: allow_uncounted=True"):
        narrower.search(*arguments, ["accuracy", "bitops"])
    with pytest.warns(UserWarning, match="rnn"):
        found = narrower.search(*arguments, ["accuracy", "bitops"], allow_uncounted=True)
    assert max(member["bitops"] for member in found.front) <= 600 * 32 * 32 + 12 * 8 * 32
