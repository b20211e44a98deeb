"""Networks whose widths their name says have these widths, and no others are built."""

from pathlib import Path

import pytest
import torch

from narrower.data.sizes import Sizes
from narrower.errors import ModelError
from narrower.models.build import build_model, model_of_file
from narrower.models.catalogue import short_model_name
from narrower.models.checkpoints import save_weights


def test_each_width_is_a_linear_layer_with_batch_norm_and_relu() -> None:
    model = build_model("mlp:7-3", sizes=Sizes((2, 5), 4))
    assert model(torch.zeros(6, 2, 5)).shape == (6, 4)
    shapes = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    assert shapes == [(7, 10), (3, 7), (4, 3)]
    kinds = [type(m).__name__ for m in model.modules()][2:]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]


def test_a_file_of_weights_says_which_one_it_is(tmp_path: Path) -> None:
    model = build_model("mlp:4", seed=1, sizes=Sizes((3,), 2)).eval()
    save_weights(model, tmp_path / "weights.safetensors")
    held = model_of_file(tmp_path / "weights.safetensors", "mlp:4", None)
    assert {name: t.shape for name, t in held.state_dict().items()} == {
        name: t.shape for name, t in model.state_dict().items()
    }


@pytest.mark.parametrize("widths", ["", "0", "4-", "-4", "4--4", "x", "4x4", "4097", "²", "-".join("2" * 17)])
def test_other_widths_are_refused_with_what_is_allowed(widths: str) -> None:
    with pytest.raises(ModelError, match="widths from 1 to 4096"):
        build_model(f"mlp:{widths}", sizes=Sizes((3,), 2))


def test_without_data_nothing_says_what_it_takes() -> None:
    with pytest.raises(ModelError, match="name a data set"):
        build_model("mlp:8")


def test_a_directory_has_no_colon() -> None:
    assert short_model_name("mlp:8-8") == "mlp-8-8"
