"""Models have the names, layers and sizes that people know them by."""

from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.data.datasets import load_data_set
from narrower.data.sizes import Sizes, sizes_from_text
from narrower.errors import UnknownNameError
from narrower.models.build import build_model
from narrower.models.catalogue import MODELS, model_name, model_note
from narrower.models.checkpoints import save_weights, sizes_in
from tests.conftest import RunNarrower

# Written down from the peer's own definition: layer, then the shape of its weight.
VGG7 = {
    "feature_layers.0": (128, 3, 3, 3),
    "feature_layers.3": (128, 128, 3, 3),
    "feature_layers.7": (256, 128, 3, 3),
    "feature_layers.10": (256, 256, 3, 3),
    "feature_layers.14": (512, 256, 3, 3),
    "feature_layers.17": (512, 512, 3, 3),
    "classifier.0": (1024, 8192),
    "classifier.2": (1024, 1024),
    "last_layer": (10, 1024),
}


def products(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }


def test_vgg7_has_the_layers_of_the_peers() -> None:
    model = build_model("vgg7")
    assert products(model) == VGG7
    assert all(model.get_submodule(name).bias is not None for name in VGG7)
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == [f"feature_layers.{number}" for number in (1, 4, 8, 11, 15, 18)]


def test_models_of_any_size_are_built_for_the_data() -> None:
    for name in ("vgg7", "resnet20", "toy", "toy_tiny"):
        model = build_model(name, sizes=Sizes((1, 16, 16), 100)).eval()
        assert model(torch.zeros(2, 1, 16, 16)).shape == (2, 100)
    assert products(build_model("toy", sizes=Sizes((16,), 5))) == {
        "seq_blocks.0": (8, 16),
        "seq_blocks.2": (8, 8),
        "seq_blocks.4": (5, 8),
    }
    assert products(build_model("toy-tiny", sizes=Sizes((1, 2, 2), 3))) == {"l1": (2, 4), "l2": (3, 2)}


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("jsc_three_linear_layers", "jsc-three-linear"),
        ("jsc-three-linear-layers", "jsc-three-linear"),
        ("JSC_Toy", "jsc-toy"),
        ("toy_tiny", "toy-tiny"),
        ("mine:model_of_mine", "mine:model_of_mine"),
    ],
)
def test_names_are_known_in_every_spelling(spelled: str, name: str) -> None:
    assert model_name(spelled) == name


def test_other_names_are_unknown() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vgg7'"):
        model_name("vgg8")
    assert model_note("evil:module") is None


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"vgg7"}))
def test_a_model_takes_the_data_that_its_note_names(name: str) -> None:
    data = load_data_set(MODELS[name].data_set)
    outputs = build_model(name, sizes=data.sizes).eval()(data.train.inputs[:2])
    data.task.check(data.train.targets[:2].numpy(), data.output_names, outputs=outputs)


def test_the_sizes_are_kept_beside_the_weights(tmp_path: Path) -> None:
    sizes = Sizes((2, 3), 4)
    save_weights(build_model("toy", sizes=sizes), tmp_path / "toy.safetensors")
    assert sizes_in(tmp_path / "toy.safetensors") == sizes
    save_weights(build_model("jsc-toy"), tmp_path / "jsc.safetensors")
    assert sizes_in(tmp_path / "jsc.safetensors") is None


@pytest.mark.parametrize(
    "text",
    ["", "3", "[]", "{}", '{"sample": 3, "classes": 4}', '{"sample": [1000000, 1000000], "classes": 2}',
     '{"sample": [3], "classes": 99999999}', '{"sample": [-3], "classes": 2}'],
)  # fmt: skip
def test_sizes_that_cannot_be_meant_are_passed_over(text: str) -> None:
    assert sizes_from_text(text) is None


def test_commands_take_underscores_and_fit_the_model_to_the_data(run_narrower: RunNarrower) -> None:
    assert run_narrower("groups", "jsc_toy")[0] == 0
    assert run_narrower("resize", "toy_tiny", "--set", "l1=2", "--dataset", "digits")[0] == 0
    code, out, _ = run_narrower("profile", "toy_tiny", "jets", "--json")
    assert code == 0
    assert '"macs": 42' in out  # 16 x 2 + 2 x 5
