"""Every group of every model at other widths: it runs, costs what was predicted, and keeps its outputs."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.data.sizes import Sizes
from narrower.errors import CheckpointError, NarrowerError, SettingsError, UnknownNameError
from narrower.graph.groups import Channels
from narrower.graph.resized_network import deployed_network, resized_network
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.study.resized_files import load_resized, save_resized
from narrower.transform.resized import resize, wanted_counts, with_counts
from narrower.transform.tried_channels import groups, tried_channels
from tests import width_zoo, zoo

MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    **{name: (lambda name=name: zoo.build(name)) for name in zoo.MODELS},
    **{name: (lambda name=name: width_zoo.build(name)) for name in width_zoo.MODELS},
}
SHIPPED = {
    "jsc-toy": (16,), "jsc-three-linear-relu": (16,), "digits-mlp": (1, 8, 8), "digits-cnn": (1, 8, 8),
}  # fmt: skip
LARGE = {"resnet20": (3, 32, 32), "vgg7": (3, 8, 8)}
GROWN = (1.5, 2.0)


def shipped(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    shape = (SHIPPED | LARGE)[name]
    model, inputs = build_model(name, sizes=Sizes(shape, 10)), torch.randn(3, *shape)
    with torch.no_grad():
        model.train()(inputs)
    return model.eval(), inputs


def changed_or_refused(
    model: nn.Module, inputs: Tensor, found: Channels, counts: dict[int, int], weights: Any, name: str
) -> nn.Module | None:
    """The resized model; None where net2net refuses with the layer and a reason."""
    try:
        return with_counts(model, (inputs,), found, counts, weights=weights)
    except SettingsError as error:
        text = str(error)
    assert weights == "net2net"
    assert name in text
    assert any(word in text for word in ("averages", "tied", "goes over", "sums over"))
    return None


def check_every_group(model: nn.Module, inputs: Tensor) -> int:
    """How many resized models were checked."""
    found = tried_channels(model, trace(model, inputs), (inputs,))
    before = copy.deepcopy(model.state_dict())
    checked = 0
    for group in (group for group in groups(model, inputs) if group.can_change):
        for factor in (0.5, 0.75, 1.5, 2.0):
            if any(size * factor != round(size * factor) for size in group.families):
                with pytest.raises(SettingsError, match="whole number"):
                    wanted_counts(found, {group.name: factor}, {})
                continue
            counts = wanted_counts(found, {group.name: factor}, {})
            predicted = resized_network(found, counts)
            for weights in ("slice", "scratch", *(("net2net",) if factor in GROWN else ())):
                changed = changed_or_refused(model, inputs, found, counts, weights, group.name)
                if changed is None:
                    continue
                with torch.no_grad():
                    outputs, wanted = changed(inputs), model(inputs)
                assert outputs.shape == wanted.shape
                if weights == "net2net":
                    tolerance = 1e-4 * float(wanted.abs().max())
                    torch.testing.assert_close(outputs, wanted, rtol=1e-3, atol=tolerance)
                assert type(changed) is type(model)
                assert {name: tuple(t.shape) for name, t in changed.named_parameters()} == {
                    p.name: p.shape for p in predicted.parameters if not p.is_buffer
                }
                checked += 1
            real = trace(with_counts(model, (inputs,), found, counts), inputs).network
            deployed = deployed_network(found, counts)
            assert {p.name: p.shape for p in real.parameters} == {
                p.name: p.shape for p in deployed.parameters
            }
            assert NetworkCost(real).macs == NetworkCost(deployed).macs
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    return checked


SLOW = ("attention", "cells", "cross_attention", "dense", "hand_written_heads", "recurrent", "unet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(MODELS)]
)
def test_every_group_of_the_zoo(name: str) -> None:
    model, inputs = MODELS[name]()
    assert check_every_group(model, inputs[:3]) > 0 or name == "views"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_group_of_small_shipped_models(name: str) -> None:
    assert check_every_group(*shipped(name)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_every_group_of_large_shipped_models(name: str) -> None:
    assert check_every_group(*shipped(name)) > 0


def test_the_peers_structure_is_reachable() -> None:
    model, inputs = shipped("jsc-three-linear-relu")
    changed = resize(model, inputs, {"seq_blocks.2": 2, "seq_blocks_4": 4})
    linear = [module for module in changed.modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(16, 32), (32, 64), (64, 5)]
    assert torch.nn.utils.parameters_to_vector(changed.parameters()).numel() == 32 + 544 + 2112 + 325


def test_slicing_keeps_the_channels_with_the_largest_weights() -> None:
    model, inputs = shipped("jsc-three-linear-relu")
    weight = model.seq_blocks[2].weight
    with torch.no_grad():
        weight.mul_(torch.arange(1, 17)[:, None])
    kept = resize(model, inputs, {"seq_blocks.2": 0.25}).seq_blocks[2].weight
    norms = weight.square().sum(dim=1) + model.seq_blocks[2].bias.square()
    expected = weight[norms.topk(4).indices.sort().values]
    assert torch.equal(kept, expected)


def test_slicing_by_first_order_taylor_drops_what_does_not_matter() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    with torch.no_grad():
        model[0].weight[2].mul_(100)  # large, but nobody reads it
        model[2].weight[:, 2] = 0
    inputs = torch.randn(40, 4)
    data = Part(inputs, torch.arange(40) % 3)
    by_size = resize(model, inputs, channels={"0": 5})
    by_effect = resize(model, inputs, channels={"0": 5}, importance="taylor", data=data)
    with torch.no_grad():
        torch.testing.assert_close(by_effect(inputs), model(inputs))
        assert not torch.allclose(by_size(inputs), model(inputs))


def test_depthwise_models_stay_depthwise() -> None:
    model, inputs = width_zoo.build("depthwise")
    changed = resize(model, inputs, {"expand": 2})
    assert (changed.depthwise.groups, changed.depthwise.in_channels) == (16, 16)


def test_attention_moves_whole_heads() -> None:
    model, inputs = zoo.build("attention")
    changed = resize(model, inputs[:3], {"embed": 2}, weights="net2net")
    attention = changed.encoder.self_attn
    assert (attention.embed_dim, attention.num_heads, attention.head_dim) == (32, 8, 4)
    with pytest.raises(SettingsError, match="4 units of 4 channels"):
        resize(model, inputs[:3], {"embed": 1.125})


@pytest.mark.parametrize(
    ("widths", "channels", "words"),
    [
        ({"seq_blocks.2": 0.0}, {}, ["seq_blocks.2", "above 0"]),
        ({"seq_blocks.2": 0.3}, {}, ["seq_blocks.2", "4.8", "whole number"]),
        ({"seq_blocks.6": 2}, {}, ["seq_blocks.6", "output of the model"]),
        ({"seq_blocks.2": 2}, {"seq_blocks.2": 16}, ["seq_blocks.2", "same channels"]),
        ({}, {"seq_blocks.2": 0}, ["seq_blocks.2", "above 0"]),
    ],
)
def test_impossible_widths_are_refused_with_layer_and_reason(
    widths: dict[str, float], channels: dict[str, int], words: list[str]
) -> None:
    model, inputs = shipped("jsc-three-linear-relu")
    with pytest.raises(SettingsError) as caught:
        resize(model, inputs, widths, channels=channels)
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_layer_names_the_nearest() -> None:
    model, inputs = shipped("jsc-three-linear-relu")
    with pytest.raises(UnknownNameError, match=r"seq_blocks\.2"):
        resize(model, inputs, {"seq_blocks.22": 2})


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.second(F.relu(self.first(x).view(-1, 8)))
        return output


def test_a_constant_in_a_view_is_named_with_its_line() -> None:
    (group, _) = groups(Constant().eval(), torch.randn(3, 6))
    line = Constant.forward.__code__.co_firstlineno + 1
    assert any(f"test_resized.py:{line}" in reason for reason in group.reasons)


def test_a_resized_model_is_loaded_back_with_one_call(tmp_path: Path) -> None:
    model, inputs = shipped("digits-cnn")
    changed = resize(model, inputs, {"0": 1.5, "4": 0.5})
    save_resized(changed, "digits-cnn", tmp_path / "small.safetensors")
    loaded = load_resized(tmp_path / "small.safetensors")
    with torch.no_grad():
        assert torch.equal(loaded(inputs), changed(inputs))
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no resized model"):
        load_resized(tmp_path / "other.safetensors")


class Branches(nn.Module):
    """Two outputs, and a convolution that is as wide as two others together."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.both = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 8, 1), nn.Conv2d(12, 12, 1)
        self.norm, self.first, self.second = nn.BatchNorm2d(12), nn.Linear(12, 5), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = torch.cat([self.left(x), self.right(x)], dim=1)
        x = torch.relu(self.norm(x + self.both(x))).mean(dim=(2, 3))
        return self.first(x), {"second": self.second(x)}


def test_a_number_of_channels_is_that_of_the_named_layer() -> None:
    changed = resize(Branches().eval(), torch.randn(3, 3, 6, 6), channels={"right": 12})
    convolutions = [module for module in changed.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [6, 12, 18]


def test_models_with_several_outputs_grow_in_the_mode_that_they_are_in() -> None:
    model, inputs = Branches().train(), torch.randn(3, 3, 6, 6)
    model.norm.eval()
    changed = resize(model, inputs, {"left": 1.5}, weights="net2net")
    modes = [(name, module.training) for name, module in model.named_modules()]
    assert dict(modes)[""]
    assert not dict(modes)["norm"]
    assert [(name, module.training) for name, module in changed.named_modules()] == modes
    with torch.no_grad():
        for outputs, wanted in zip(changed(inputs)[1].values(), model(inputs)[1].values(), strict=True):
            torch.testing.assert_close(outputs, wanted)


def test_sizes_that_follow_from_one_another_are_one_group() -> None:
    """Neither the tokens nor the queries, keys and values run at another width alone."""
    model, inputs = width_zoo.build("fixed_heads")
    (group,) = (group for group in groups(model, inputs) if group.can_change)
    assert {"embed", "packed", "out"} <= set(group.layers)
    assert (group.width, group.unit) == (4, 4)  # each of the four heads has four channels
    changed = resize(model, inputs, {"embed": 0.5})
    assert changed.packed.weight.shape == (24, 8)


def test_the_same_channels_of_all_heads_are_kept() -> None:
    """Heads are 4 rows of 4 channels: what is kept of one is kept of all."""
    model, inputs = width_zoo.build("fixed_heads")
    with torch.no_grad():
        model.packed.weight.mul_(torch.tensor([1.0, 9.0, 9.0, 1.0]).repeat(12)[:, None])
        model.embed.weight.mul_(torch.tensor([9.0, 1.0]).repeat_interleave(8)[:, None])
        for other in (model.token, model.out.weight, model.out.bias):
            other.zero_()
    changed = resize(model, inputs, {"embed": 0.5})
    rows = [4 * head + channel for head in range(12) for channel in (1, 2)]
    assert torch.equal(changed.packed.weight, model.packed.weight[rows][:, :8])


def test_kernels_that_are_computed_keep_their_height() -> None:
    class Standardised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.kernel = nn.Conv2d(3, 8, 1), nn.Parameter(torch.randn(6, 8, 3, 3))
            self.head = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            kernel = self.kernel - self.kernel.mean(dim=(1, 2, 3), keepdim=True)
            output: Tensor = self.head(F.conv2d(torch.relu(self.stem(x)), kernel).mean(dim=(2, 3)))
            return output

    model, inputs = Standardised().eval(), torch.randn(3, 3, 6, 6)
    assert {group.width for group in groups(model, inputs) if group.can_change} == {8, 6}
    assert check_every_group(model, inputs) > 0


class Gated(nn.Module):
    """One channel that is multiplied with all others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 1, 1)
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        return self.last((x * self.gate(x).sigmoid()).mean((2, 3)))


def one_channel(*after: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1), *after)


def test_a_convolution_to_one_channel_is_a_convolution_like_any_other() -> None:
    model = one_channel(nn.ReLU(), nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    changed = resize(model.eval(), torch.randn(2, 3, 8, 8), {"2": 2.0})
    shapes = {name: tuple(tensor.shape) for name, tensor in changed.state_dict().items()}
    assert (shapes["2.weight"], shapes["2.bias"], shapes["4.weight"]) == ((2, 8, 3, 3), (2,), (4, 2, 3, 3))
    assert changed(torch.randn(2, 3, 8, 8)).shape == (2, 4)


@pytest.mark.parametrize(
    ("model", "layer", "said"),
    [
        (Gated(), "gate", "broadcasts it"),
        (one_channel(nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), "2", "a view drops it"),
    ],
)
def test_one_channel_that_is_broadcast_or_dropped_stays_one(model: nn.Module, layer: str, said: str) -> None:
    with pytest.raises(NarrowerError, match=said):
        resize(model.eval(), torch.randn(2, 3, 8, 8), {layer: 2.0})


class Shuffled(nn.Module):
    """Half of the channels go on as they are, the others through a layer; then they are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = self.first(x).chunk(2, dim=1)
        joined = torch.cat([kept, self.second(changed)], 1)
        batch, channels, height, width = joined.shape
        shuffled = joined.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return shuffled.reshape(batch, -1, height, width).mean((2, 3))


def test_channels_in_parts_are_named_as_groups_shows_them() -> None:
    inputs = torch.randn(3, 3, 4, 4)
    model = nn.Sequential(Shuffled(), nn.Linear(8, 2)).eval()
    with pytest.raises(SettingsError, match=r"it has 8 in parts of 4, 4; .*4 channels, times 0\.1 is 0\.4"):
        resize(model, inputs, {"0.first": 0.1})
