"""Weights are read without running code, and only if they fit."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from narrower.errors import CheckpointError
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights, read_state_dict, save_weights


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harm-was-done",)


class OwnConfiguration:
    """Something of the author's own that hyper-parameters may hold."""


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Malicious()}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Malicious()))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(CheckpointError, match="refused"):
            load_weights(build_model("jsc-toy"), tmp_path / name)
    assert not Path("harm-was-done").exists()
    with pytest.raises(CheckpointError, match=r"would call posix\.system"):
        read_state_dict(tmp_path / "evil.ckpt")


def test_hyper_parameters_that_hold_objects_say_how_to_save_a_state_dict(tmp_path: Path) -> None:
    state = {f"model.{name}": tensor for name, tensor in build_model("jsc-toy").state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"c": OwnConfiguration()}}, tmp_path / "hyper.ckpt")
    with pytest.raises(
        CheckpointError, match=r"hyper-parameters hold.*OwnConfiguration.*save the weights alone"
    ):
        read_state_dict(tmp_path / "hyper.ckpt")


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.module."])
def test_state_dicts_and_lightning_checkpoints(tmp_path: Path, prefix: str) -> None:
    model = build_model("jsc-toy", seed=5)
    state = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(state, tmp_path / "state.pt")
    torch.save({"state_dict": state, "epoch": 3, "callbacks": {}}, tmp_path / "lightning.ckpt")
    for name in ("state.pt", "lightning.ckpt"):
        assert same(model, load_weights(build_model("jsc-toy"), tmp_path / name))


def test_safetensors_round_trip_leaves_the_model_alone(tmp_path: Path) -> None:
    model, other = build_model("resnet20", seed=5), build_model("resnet20", seed=6)
    save_weights(model, tmp_path / "weights.safetensors")
    assert same(model, load_weights(other, tmp_path / "weights.safetensors"))
    assert not same(model, other)


def test_parameters_that_share_memory_are_each_written(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight = nn.Parameter(torch.randn(8, 4)[2:6])  # a part of something larger
    model.register_buffer("turned", torch.randn(3, 2).t())
    save_weights(model, tmp_path / "weights.safetensors")
    found = load_file(tmp_path / "weights.safetensors")
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a PyTorch checkpoint"),
        (b"\x80\x04K\x01.", "holds|refused|not a"),
        (b"PK\x03\x04xxxx", "not a"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        read_state_dict(tmp_path / "file.pt")


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    save_weights(build_model("jsc-s"), tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match=r"seq_blocks\.2\.weight has shape \(64, 16\)|unexpected"):
        load_weights(build_model("jsc-toy"), tmp_path / "s.safetensors")


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    model = build_model("jsc-toy")
    with torch.no_grad():
        model.seq_blocks[2].weight[0, 0] = float("nan")
    save_weights(model, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="NaN"):
        load_weights(build_model("jsc-toy"), tmp_path / "nan.safetensors")
