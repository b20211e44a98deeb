"""Weights whose classes are in another order are refused with the order that fits, and no others are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrower
from narrower.data.datasets import DataSet, Part, load_data_set, split_table
from narrower.data.sources import Table
from narrower.errors import CheckpointError, SettingsError
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.models.class_order import check_class_order, class_order_problem, in_class_order
from narrower.models.quality import model_quality
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

MASE = ("g", "q", "w", "z", "t")  # the jets' own order is g, q, t, w, z


def accuracy(model: nn.Module, part: Part) -> float:
    return model_quality(model, part).metrics["accuracy"]


def reordered(trained: Path, path: Path, order: tuple[str, ...], names: tuple[str, ...]) -> Path:
    """The weights of jsc-toy with its outputs, from the last linear layer on, in another order."""
    state = load_weights(build_model("jsc-toy"), trained).state_dict()
    places = [names.index(name) for name in order]
    for name, tensor in state.items():
        if name.startswith(("seq_blocks.8.", "seq_blocks.9.")) and tensor.dim() > 0:
            state[name] = tensor[places]
    torch.save(state, path)
    return path


@pytest.fixture
def mase(trained: Path, jets: DataSet, tmp_path: Path) -> Path:
    return reordered(trained, tmp_path / "mase.pt", MASE, jets.output_names)


def test_the_order_that_fits_is_named_and_gives_the_same_accuracy(
    trained: Path, mase: Path, jets: DataSet
) -> None:
    model = load_weights(build_model("jsc-toy"), mase)
    with pytest.raises(CheckpointError, match=r"--class-order g,q,w,z,t") as refused:
        check_class_order(model, jets, str(mase))
    assert 'class_order = ["g", "q", "w", "z", "t"] in the settings file' in str(refused.value)
    own = in_class_order(jets, MASE)
    check_class_order(model, own, str(mase))
    expected = accuracy(load_weights(build_model("jsc-toy"), trained), jets.test)
    assert accuracy(model, own.test) == expected > accuracy(model, jets.test) + 0.2
    assert own.content_hash != jets.content_hash
    assert in_class_order(own, jets.output_names).content_hash == jets.content_hash


def blobs(classes: int, apart: float, seed: int) -> DataSet:
    chance = np.random.default_rng(seed)
    targets = chance.integers(0, classes, 3000)
    inputs = chance.normal(size=(3000, 6)) + apart * chance.normal(size=(classes, 6))[targets]
    names = tuple(f"c{number}" for number in range(classes))
    return split_table("blobs", Table(inputs.astype(np.float32), targets.astype(np.int64), names), 0)


def network(data: DataSet, seed: int, hidden: int = 16) -> nn.Module:
    torch.manual_seed(seed)
    inputs, outputs = data.train.inputs.shape[1], len(data.output_names)
    if hidden == 0:
        return nn.Sequential(nn.Linear(inputs, outputs))
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def fitted(model: nn.Module, data: DataSet, loss: str = "cross entropy", steps: int = 150) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    inputs, targets = data.train.inputs, data.train.targets
    classes = len(data.output_names)
    for _ in range(steps):
        outputs: Tensor = model(inputs)
        if loss == "squares":
            value = F.mse_loss(outputs, F.one_hot(targets, classes).float())
        elif loss == "margin":
            value = F.multi_margin_loss(outputs, targets)
        else:
            value = F.cross_entropy(outputs, targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("loss", ["cross entropy", "squares", "margin"])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_models_that_were_trained_with_another_order_are_found(classes: int, loss: str) -> None:
    for seed in range(3):
        data = blobs(classes, 2.0, seed)
        shifted = in_class_order(data, (*data.output_names[1:], data.output_names[0]))
        model = fitted(network(data, seed), shifted, loss)
        assert class_order_problem(model, shifted) is None
        said = class_order_problem(model, data)
        assert said is not None
        assert said.endswith(f"--class-order {','.join(shifted.output_names)}")


def test_two_classes_of_many_that_are_exchanged_are_found() -> None:
    data = blobs(12, 2.5, 0)
    order = list(data.output_names)
    order[3], order[8] = order[8], order[3]
    said = class_order_problem(fitted(network(data, 0, 64), in_class_order(data, order)), data)
    assert said is not None
    assert said.endswith(f"--class-order {','.join(order)}")


def test_probabilities_and_large_scores_are_judged_as_well() -> None:
    data = blobs(4, 2.0, 0)
    shifted = in_class_order(data, (*data.output_names[1:], data.output_names[0]))
    model = fitted(network(data, 0), shifted)
    assert class_order_problem(nn.Sequential(model, nn.Softmax(dim=1)), data) is not None
    with torch.no_grad():
        for tensor in model[2].parameters():  # type: ignore[union-attr]
            tensor.mul_(30)
    assert class_order_problem(model, data) is not None


def test_an_output_that_stands_for_no_class_is_a_dash() -> None:
    data = blobs(3, 2.0, 0)
    with_background = in_class_order(data, ("-", *data.output_names))
    assert with_background.output_names == ("-", "c0", "c1", "c2")
    model = fitted(network(with_background, 0), with_background)
    said = class_order_problem(model, data)
    assert said is not None
    assert said.endswith("--class-order -,c0,c1,c2")
    assert class_order_problem(model, with_background) is None


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("classes", [3, 5, 10])
def test_networks_that_were_never_trained_are_not_refused(classes: int, hidden: int) -> None:
    """Some order suits most of them better, by far: the accuracies alone would refuse many."""
    for seed in range(20):
        data = blobs(classes, 2.0, seed)
        assert class_order_problem(network(data, seed, hidden), data) is None


@pytest.mark.parametrize("name", ["jsc-toy", "jsc-tiny", "jsc-s"])
def test_shipped_models_that_were_never_trained_are_not_refused(name: str, jets: DataSet) -> None:
    for seed in range(20):
        assert class_order_problem(build_model(name, seed=seed), jets) is None


def test_weak_and_lopsided_models_are_not_refused(jets: DataSet) -> None:
    data = blobs(5, 1.0, 0)
    for steps in (1, 3, 10):
        assert class_order_problem(fitted(network(data, 0), data, steps=steps), data) is None
    always = nn.Linear(6, 5)
    with torch.no_grad():
        always.weight.zero_()
        always.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 5.0, 0.0]))
    assert class_order_problem(always, data) is None  # it always says the fourth class
    with torch.no_grad():
        always.bias.fill_(torch.nan)
    assert class_order_problem(always, data) is None


def test_own_data_may_be_sorted_by_class(trained: Path, mase: Path, jets: DataSet) -> None:
    order = jets.train.targets.argsort()
    sorted_part = replace(jets.train, inputs=jets.train.inputs[order], targets=jets.train.targets[order])
    data = replace(jets, train=sorted_part)
    assert class_order_problem(load_weights(build_model("jsc-toy"), trained), data) is None
    assert class_order_problem(load_weights(build_model("jsc-toy"), mase), data) is not None


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("g", "q", "w", "z"), "t missing"),
        (("g", "q", "w", "z", "b"), "found 'b'"),
        (("g", "q", "w", "z", "t", "g"), "'g' is named twice"),
    ],
)
def test_what_is_no_order_of_the_classes_is_an_error(
    order: tuple[str, ...], said: str, jets: DataSet
) -> None:
    with pytest.raises(SettingsError, match=said):
        in_class_order(jets, order)


def test_every_command_refuses_and_then_obeys(run_narrower: RunNarrower, mase: Path, trained: Path) -> None:
    config = settings_file(Path("a.toml"), samples=64, layers=("seq_blocks_2",), weights="[8]", biases="[8]")
    refused = (
        ("test", "jsc-toy", "jets", "--load", mase),
        ("train", "jsc-toy", "jets", "--load", mase),
        ("check", config, "--load", mase),
        ("search", "--config", config, "--load", mase),
    )
    for command in refused:
        code, out, err = run_narrower(*command)
        assert (code, out) == (2, "")
        assert "--class-order g,q,w,z,t" in err
    assert not Path("runs").exists()
    code, out, _ = run_narrower(
        "test", "jsc-toy", "jets", "--load", mase, "--class-order", "g,q,w,z,t", "--json"
    )
    assert code == 0
    ordered = json.loads(out)
    _, out, _ = run_narrower("test", "jsc-toy", "jets", "--load", trained, "--json")
    assert ordered["parts"]["test"]["accuracy"] == json.loads(out)["parts"]["test"]["accuracy"]
    assert ordered["class_names"] == list(MASE)
    code, _, err = run_narrower("test", "jsc-toy", "jets", "--load", mase, "--class-order", "g,q,t,w,z")
    assert code == 0  # whoever says which order it is is obeyed, with a warning
    assert "seem to be in another order" in err


def test_the_order_is_recorded_in_the_run_and_named_beside_the_artefact(
    run_narrower: RunNarrower, mase: Path, trained: Path
) -> None:
    config = settings_file(Path("a.toml"), layers=("seq_blocks_2",), weights="[4, 8]", biases="[8]")
    text = config.read_text(encoding="utf-8")
    config.write_text(f'class_order = ["g", "q", "w", "z", "t"]\n{text}', encoding="utf-8")
    assert run_narrower("search", "--config", config, "--load", mase)[0] == 0
    record = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))
    assert record["class_names"] == list(MASE)
    assert 'class_order = [\n    "g",' in Path("runs/toy/settings.toml").read_text(encoding="utf-8")
    config.write_text(text, encoding="utf-8")
    assert run_narrower("search", "--config", config, "--load", trained)[0] == 0
    other = json.loads(Path("runs/toy-2/front.json").read_text(encoding="utf-8"))
    accuracies = [[member["test_accuracy"] for member in found["members"]] for found in (record, other)]
    assert accuracies[0] == accuracies[1]
    outputs = []
    for run, names in (("toy", MASE), ("toy-2", ("g", "q", "t", "w", "z"))):
        number = (record if run == "toy" else other)["members"][0]["number"]
        code, out, err = run_narrower(
            "export",
            f"runs/{run}",
            "--trial",
            number,
            "--to",
            "safetensors",
            "--output",
            run,
            "--samples",
            "1000",
            "--json",
        )
        assert code == 0, err
        assert json.loads(out)["class_names"] == list(names)
        model = narrower.load_compressed(f"{run}/model.safetensors")
        outputs.append(model(load_data_set("jets").test.inputs[:50]))
    # the same model: only the places of its outputs differ
    torch.testing.assert_close(outputs[0], outputs[1][:, [0, 1, 3, 4, 2]], rtol=0, atol=0)


def test_from_python(mase: Path, jets: DataSet) -> None:
    model = load_weights(build_model("jsc-toy"), mase)
    space = {"seq_blocks.2": {"weight": [8]}}
    with pytest.raises(CheckpointError, match="another order"):
        narrower.search(model, jets, space, ["accuracy"])
    found = narrower.search(model, jets, space, ["accuracy"], samples=500, class_order=MASE)
    assert found.front[0]["accuracy"] > 0.5
