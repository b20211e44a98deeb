"""Weights are found wherever people keep them, and what is missing or ambiguous is an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from narrower.errors import CheckpointError
from narrower.models.checkpoints import load_weights

State = dict[str, Tensor]


def network(seed: int = 0, outputs: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, outputs))


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def in_the_middle(state: State) -> State:
    """As when one part of a network is wrapped in DataParallel."""
    return {name.replace("0.", "0.module.", 1): tensor for name, tensor in state.items()}


def optimizer() -> dict[str, Any]:
    model = network()
    found = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 4)).sum().backward()
    found.step()
    return found.state_dict()


FORMS: dict[str, Callable[[State], Any]] = {
    "state dict": lambda s: s,
    "lightning": lambda s: {"state_dict": under("model.", s), "epoch": 1, "optimizer_states": [optimizer()]},
    "lightning, another attribute": lambda s: {"state_dict": under("backbone.", s)},
    "lightning of a compiled model": lambda s: {"state_dict": under("net._orig_mod.", s)},
    "with class weights": lambda s: {"state_dict": {**under("model.", s), "criterion.weight": torch.ones(3)}},
    "class weights beside bare names": lambda s: {**s, "loss_fn.weight": torch.ones(3)},
    "class weights as a buffer": lambda s: {**s, "class_weights": torch.ones(3)},
    "two tables deep": lambda s: {"checkpoint": {"model": s, "step": torch.tensor(5)}, "args": {"lr": 0.1}},
    "beside an optimizer": lambda s: {"net": under("module.", s), "optimizer": optimizer(), "acc": 0.5},
    "beside a flat optimizer": lambda s: {"weights": s, **optimizer()},
    "in a list": lambda s: [s, optimizer()],
    "one table for each part": lambda s: {
        first: {name[2:]: tensor for name, tensor in s.items() if name[0] == first} for first in "013"
    },
    "a part in DataParallel": in_the_middle,
    "with moving averages": lambda s: {"state_dict": s, "state_dict_ema": network(9).state_dict()},
    "moving averages beside bare names": lambda s: {**s, **under("ema.", network(9).state_dict())},
    "a teacher beside it": lambda s: {**under("model.", s), **under("teacher.", network(9, 7).state_dict())},
    "averaged": lambda s: {"n_averaged": torch.tensor(3), **under("module.", s)},
    "counters of a profiler": lambda s: {**s, "total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)},
    "without counters of batches": lambda s: {
        n: t for n, t in s.items() if not n.endswith("batches_tracked")
    },
    "a number among the tensors": lambda s: {**s, "epoch": 3},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_are_those_that_were_saved(tmp_path: Path, form: str) -> None:
    saved = network(5)
    torch.save(FORMS[form](dict(saved.state_dict())), tmp_path / "weights.pt")
    loaded = load_weights(network(6), tmp_path / "weights.pt")
    inputs = torch.randn(8, 4)
    torch.testing.assert_close(loaded.eval()(inputs), saved.eval()(inputs), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("with class weights", "criterion.weight"),
        ("counters of a profiler", "total_ops, total_params"),
        ("with moving averages", "state_dict_ema"),
        ("a teacher beside it", r"teacher\.\*"),
    ],
)
def test_what_was_passed_over_is_said(tmp_path: Path, form: str, said: str) -> None:
    heard: list[str] = []
    torch.save(FORMS[form](dict(network(5).state_dict())), tmp_path / "weights.pt")
    load_weights(network(6), tmp_path / "weights.pt", say=heard.append)
    (line,) = heard
    assert line.endswith(f"passed over: {said}".replace("\\", ""))


def without(state: State, name: str) -> State:
    return {other: tensor for other, tensor in state.items() if other != name}


WRONG: dict[str, tuple[Callable[[State], Any], str]] = {
    "a missing weight": (lambda s: without(s, "3.bias"), r"does not fit Sequential: missing 3\.bias"),
    "a missing running mean": (
        lambda s: {"model": under("net.", without(s, "1.running_mean"))},
        r"missing 1\.running_mean",
    ),
    "one layer more": (lambda s: {**s, "5.weight": torch.ones(3, 3)}, r"unexpected 5\.weight"),
    "one layer more, below a prefix": (
        lambda s: {"state_dict": {**under("model.", s), "model.5.weight": torch.ones(3, 3)}},
        r"unexpected 5\.weight",
    ),
    "another shape": (lambda s: {**s, "3.bias": torch.ones(4)}, r"3\.bias has shape \(4,\)"),
    "no number": (lambda s: {**s, "3.bias": torch.full((3,), torch.nan)}, r"3\.bias holds NaN"),
    "two sets": (
        lambda s: {**under("student.", s), **under("teacher.", network(9).state_dict())},
        r"several sets of weights that fit Sequential \(student, teacher\)",
    ),
    "only an optimizer": (lambda _: optimizer(), "state of an optimizer and no weights"),
    "only an optimizer, below a key": (lambda _: {"optimizer": optimizer(), "epoch": 3}, "no weights"),
    "no tensor": (lambda _: {"state_dict": {}, "epoch": 3}, r"no tensor in it \('state_dict', 'epoch'\)"),
    "a number": (lambda _: 3, "holds no state dict .* but int"),
    "nothing": (lambda _: {}, "it is empty"),
}


@pytest.mark.parametrize("form", WRONG)
def test_other_content_is_an_error_that_says_what_it_is(tmp_path: Path, form: str) -> None:
    make, said = WRONG[form]
    torch.save(make(dict(network(5).state_dict())), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=said):
        load_weights(network(6), tmp_path / "weights.pt")


def test_equal_sets_are_no_question(tmp_path: Path) -> None:
    state = network(5).state_dict()
    torch.save({**under("student.", state), **under("teacher.", state)}, tmp_path / "weights.pt")
    loaded = load_weights(network(6), tmp_path / "weights.pt")
    torch.testing.assert_close(loaded.state_dict(), state, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_programs_are_named_for_what_they_are(tmp_path: Path) -> None:
    model = network(5).eval()
    torch.jit.trace(model, torch.randn(2, 4)).save(str(tmp_path / "traced.pt"))
    torch.export.save(torch.export.export(model, (torch.randn(2, 4),)), tmp_path / "exported.pt2")
    for name, said in (("traced.pt", "TorchScript"), ("exported.pt2", "exported program")):
        with pytest.raises(CheckpointError, match=f"{said}.*save its weights alone"):
            load_weights(network(6), tmp_path / name)


def test_the_way_out_that_is_named_for_torchscript_works(tmp_path: Path) -> None:
    model = network(5).eval()
    torch.jit.trace(model, torch.randn(2, 4)).save(str(tmp_path / "traced.pt"))
    with pytest.raises(CheckpointError) as refused:
        load_weights(network(6), tmp_path / "traced.pt")
    exec(str(refused.value).partition('python -c "')[2].removesuffix('"'), {})
    loaded = load_weights(network(6), "traced-weights.pt")
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_safetensors_file_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    state = network(5).state_dict()
    save_file(under("model.", dict(state)), tmp_path / "weights.bin")
    loaded = load_weights(network(6), tmp_path / "weights.bin")
    torch.testing.assert_close(loaded.state_dict(), state, rtol=0, atol=0)
