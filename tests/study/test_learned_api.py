"""``narrower.learn``: the search of a settings file whose widths are learned, from Python."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.data.parts import DataSet
from narrower.errors import SettingsError
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import plan_from_dict
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower
from tests.preparation.learning.programs.networks import Convolutional, images

FILE = """
model = "learned_from_python:tagger"
dataset = "learned_from_python:blobs"
project = "file"
max_epochs = 1
[search.search_space]
name = "quantize"
[search.search_space.seed.default.config]
learn = ["weight", "data"]
[search.strategy.setup]
sampler = "learned"
[search.strategy.training]
n_epochs = 40
[search.strategy.metrics]
accuracy = {}
bitops = {}
"""
MODULE = """
import numpy as np
from torch import nn

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 1500)
    return chance.normal(size=(1500, 4)) + 1.2 * np.eye(4)[classes], classes

def tagger():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
"""


def test_a_file_and_python_find_the_same_networks(run_narrower: RunNarrower) -> None:
    Path("learned_from_python.py").write_text(MODULE)
    Path("file.toml").write_text(FILE)
    code, _, err = run_narrower("search", "--config", "file.toml")
    assert code == 0, err
    data = narrower.load_data_set("learned_from_python:blobs")
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    found = narrower.learn(model, data, "bitops", epochs=40, directory="python")
    trials = []
    for path in ("runs/file", "python"):
        with TrialStore.open(Path(path) / "trials.db", read_only=True) as store:
            trials.append([(t.number, t.metrics) for t in store.trials()])
    assert trials[0] == trials[1]
    assert len(found.front) > 1
    best = found.best(max={"bitops": found.front[0]["bitops"]})
    network = found.model(best)
    with torch.no_grad():
        right = (network(data.validation.inputs).argmax(1) == data.validation.targets).float().mean()
    assert float(right) == pytest.approx(best.metrics["accuracy"])
    # every weight's bits times those of what it reads, counted one by one
    plan, bitops = plan_from_dict(best.plan, stored(found.run.path / str(best.weights))), 0
    for _, layer in plan.layers:
        assert isinstance(layer.weight, FixedEach)
        assert isinstance(layer.data, FixedEach)
        for row in layer.weight.widths:
            bitops += sum(int(bits) * int(read) for bits, read in zip(row, layer.data.widths, strict=True))
    assert bitops == best.metrics["bitops"]


def test_shapes_have_a_training_each_and_share_a_front() -> None:
    data = images(600)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))
    found = narrower.learn(model, data, "bitops", epochs=8, shapes=[1, 0.5], directory="shapes")
    with TrialStore.open(Path("shapes/trials.db"), read_only=True) as store:
        shapes = {trial.metrics["macs"] for trial in store.trials()}
    assert shapes == {16 * 6 + 6 * 3, 16 * 3 + 3 * 3}
    best = found.best()
    network = found.model(best)
    right = (network(data.validation.inputs).argmax(1) == data.validation.targets).float().mean()
    assert float(right) == pytest.approx(best.metrics["accuracy"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shapes": [0.5], "operands": ["weight"]}, "with shapes both are learned"),
        ({"shapes": [0]}, "shapes: found 0; expected numbers above 0"),
        ({"shapes": [0.5], "sampler": "learned"}, "sampler: found 'learned'; allowed: brute_force, random"),
    ],
)
def test_shapes_that_cannot_be_searched_are_refused(given: dict[str, object], words: str) -> None:
    model = nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 5))
    with pytest.raises(SettingsError, match=words):
        narrower.learn(model, "jets", epochs=1, **given)  # type: ignore[arg-type]


def stored(path: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    from narrower.models.stored_formats import formats_of

    return dict(formats_of(load_file(path)))


def test_a_network_with_convolutions_is_learned_from_its_weights() -> None:
    data = images()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = narrower.learn(
            Convolutional(),
            data,
            "model_size",
            epochs=10,
            granularity="channel",
            constraints={"bitops": (None, 1e9)},
        )
    assert found.record.summary.exhausted
    assert all(member["model_size"] > 0 for member in found.front)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cost": "macs"}, "cost: found 'macs'; allowed: ebops"),
        ({"granularity": "row"}, "granularity: found 'row'; allowed: tensor, channel, weight"),
        ({"candidates": 2}, "candidates: found 2; a network that is no chain"),
        ({"allowed": [3, 20]}, "allowed: expected 0 and widths from 2 to 16"),
        ({"measure_front": ["area"]}, "measure_front: found 'area'"),
        ({"constraints": {"luts": (None, 5)}}, "constraints['luts']: not known while widths are learned"),
    ],
)
def test_what_cannot_be_learned_is_said_of_arguments(arguments: dict[str, object], words: str) -> None:
    data: DataSet = images(60)
    with pytest.raises(SettingsError) as raised:
        narrower.learn(Convolutional(), data, **arguments)  # type: ignore[arg-type]
    assert words in str(raised.value)
