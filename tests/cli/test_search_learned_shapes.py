"""A search over channel widths whose number formats a training of each learns: one front, one run."""

import json
from math import e
from pathlib import Path

import pytest

from narrower.preparation.learned_shapes import Shape
from narrower.preparation.learned_way import Proposal
from narrower.store.trials import TrialStore
from narrower.study.learned_shapes_search import mean_quality
from narrower.study.learned_trials import LearnedTrials
from tests.conftest import RunNarrower

MODULE = """
import numpy as np
from torch import nn

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 2500)
    return chance.normal(size=(2500, 4)) + 1.2 * np.eye(4)[classes], classes

def tagger():
    layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)]
    return nn.Sequential(*layers)
"""
FILE = """
model = "learned_shapes:tagger"
dataset = "learned_shapes:blobs"
project = "{project}"
max_epochs = 1
[search.search_space]
name = "{space}"
[search.search_space.seed.default.config]
learn = {learn}
channel_multiplier = [0.25, 0.5, 1.0]
[search.strategy.setup]
sampler = "{sampler}"
n_trials = 3
[search.strategy.training]
n_epochs = 8
[search.strategy.metrics]
accuracy = {{}}
bitops = {{}}
"""


def settings(
    project: str,
    *,
    space: str = "quantize_and_resize",
    learn: str = '["weight", "data"]',
    sampler: str = "tpe",
) -> Path:
    Path("learned_shapes.py").write_text(MODULE)
    path = Path(f"{project}.toml")
    path.write_text(FILE.format(project=project, space=space, learn=learn, sampler=sampler))
    return path


def trials(project: str) -> list[object]:
    with TrialStore.open(Path("runs", project, "trials.db"), read_only=True) as store:
        return [(t.number, t.plan_index, t.state, t.metrics) for t in store.trials()]


def front(project: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(Path("runs", project, "front.json").read_text())["members"]
    return found


def macs(first: int, second: int) -> int:
    return 4 * first + first * second + second * 3


def test_shapes_share_a_front_and_an_interrupted_search_goes_on(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_narrower("search", "--config", settings("whole"))
    assert code == 0, err
    members = front("whole")
    shapes = {
        tuple((layer, own["width"]) for layer, own in member["plan"].items() if "width" in own)  # type: ignore[attr-defined]
        for member in members
    }
    assert len(shapes) > 1
    for member in members:
        assert member["alone_accuracy"] is None  # what was scored is what was kept
        width = [member["plan"][layer].get("width", 1) for layer in ("0", "3")]  # type: ignore[index]
        assert member["metrics"]["macs"] == macs(round(8 * width[0]), round(4 * width[1]))  # type: ignore[index]
    code, out, err = run_narrower("export", "runs/whole", "--trial", members[0]["number"], "--to", "onnx")
    assert code == 0, err
    assert "every element must be equal: passed" in out + err

    add = LearnedTrials.add

    def until(book: LearnedTrials, member: Proposal, shape: Shape | None = None) -> None:
        add(book, member, shape)
        assert shape is not None
        if shape.first > 0 and member.number == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LearnedTrials, "add", until)
        run_narrower("search", "--config", settings("stopped"))
    assert 0 < len(trials("stopped")) < len(trials("whole"))
    code, _, err = run_narrower("search", "--resume", "runs/stopped")
    assert code == 0, err
    assert trials("stopped") == trials("whole")
    assert front("stopped") == members


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler": "learned"}, "a sampler proposes the widths of channels; allowed: brute_force, random"),
        ({"learn": '["weight"]'}, "learn: found ['weight'], which means nothing in this kind of space"),
        ({"space": "quantize"}, "channel_multiplier: means nothing beside learn"),
        ({"space": "resize"}, "learn: found ['weight', 'data'], which means nothing in this kind of space"),
    ],
)
def test_what_contradicts_itself_is_named(
    changes: dict[str, str], words: str, run_narrower: RunNarrower
) -> None:
    code, _, err = run_narrower("check", settings("wrong", **changes))
    assert code == 2
    assert words in " ".join(err.split()), err


def test_a_shape_is_as_good_as_its_best_networks_over_the_costs_of_the_first() -> None:
    first = [(1.0, 0.2), (e, 0.4), (e**4, 0.8)]
    # 0.2 from 1 to e, 0.4 up to e ** 4
    assert mean_quality(first, first) == pytest.approx((0.2 + 3 * 0.4) / 4)
    # cheaper than all of the first: its quality counts from the beginning; dearer ones count nothing
    assert mean_quality([(0.5, 0.5), (e**9, 0.9)], first) == pytest.approx(0.5)
    # nothing is as cheap as the first ones: there it is as bad as the worst
    assert mean_quality([(e**2, 0.6)], first) == pytest.approx((2 * 0.2 + 2 * 0.6) / 4)
    assert mean_quality([(e**2, 0.1)], first) == pytest.approx(0.1)
    assert mean_quality([(3.0, 0.7)], [(2.0, 0.5)]) == pytest.approx(0.7)
