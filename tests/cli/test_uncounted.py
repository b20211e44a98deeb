"""What no rule counts is named by every command, and a search does not begin where it may multiply."""

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
        self.last, self.head = nn.Linear(16, 4), nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.last(torch.fft.rfft(x.flatten(1)).real).relu())

def tagger():
    return Tagger()

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(6, 4, batch_first=True), nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

def recurrent():
    return Recurrent()

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
NAMED = "fft_rfft (fft_rfft): no rule says what it computes"
REFUSED = (
    "an unknown share of the macs of uncounted_of_mine:tagger is in layers that no plan changes: fft_rfft"
)


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uncounted_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


def settings(model: str = "tagger", *, allowed: bool = False) -> str:
    Path("search.toml").write_text(FILE.format(model=model, allowed=str(allowed).lower()))
    return "search.toml"


def test_check_profile_and_resize_name_the_operator(run_narrower: RunNarrower) -> None:
    for command in (
        ("check", settings()),
        ("profile", "uncounted_of_mine:tagger", "uncounted_of_mine:tracks"),
        ("resize", "uncounted_of_mine:tagger", "--shape", "5,6", "--set", "last=2"),
    ):
        code, _, err = run_narrower(*command)
        assert code == 0, err
        assert NAMED in err, command


def test_a_search_refuses_it_before_anything_is_trained(
    run_narrower: RunNarrower,
) -> None:
    code, _, err = run_narrower("search", "--config", settings())
    assert code == 2
    assert NAMED in err
    assert "its macs and bitops if it multiplies matrices" in err
    assert REFUSED in err
    assert "--allow-uncounted" in err
    assert "training" not in err
    assert not Path("runs").exists()


def test_an_option_and_a_key_allow_it(run_narrower: RunNarrower) -> None:
    for allowed, options in ((True, ()), (False, ("--allow-uncounted",))):
        code, _, err = run_narrower("search", "--config", settings(allowed=allowed), *options)
        assert code == 0, err
        assert NAMED in err


def test_compare_names_it(run_narrower: RunNarrower) -> None:
    file = settings(allowed=True)
    code, _, err = run_narrower("compare", "--config", file, "--samplers", "random", "--seeds", "2")
    assert code == 0, err
    assert NAMED in err


def test_a_recurrent_layer_is_searched_like_any_other(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("search", "--config", settings("recurrent"))
    assert code == 0, err
    assert "no rule" not in err
    assert "rnn 4/4/8" in out + err
    assert f"bitops {600 * 16 + 12 * 16:,}" in out + err


def test_the_function_refuses_it_in_its_own_words(tmp_path: Path) -> None:
    arguments = ("uncounted_of_mine:tagger", "uncounted_of_mine:tracks", {"head": {"data": [4, 8]}})
    with pytest.raises(SettingsError, match="to search all the same: allow_uncounted=True"):
        narrower.search(*arguments, ["accuracy", "bitops"])
    with pytest.warns(UserWarning, match="fft_rfft"):
        assert narrower.search(*arguments, ["accuracy", "bitops"], allow_uncounted=True).front
