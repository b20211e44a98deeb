"""Nearly all of transformers and recurrent networks can be resized; what is cut out is what was masked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from narrower.graph.groups import Channels
from narrower.graph.trace import trace
from narrower.study.resized_files import load_resized, save_resized
from narrower.transform.new_sizes import changed_copy
from narrower.transform.resized import resize
from narrower.transform.tried_channels import tried_channels
from tests import width_zoo

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24}


class Scores(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.model(x).logits
        return scores


def bert() -> nn.Module:
    config = transformers.BertConfig(vocab_size=12, max_position_embeddings=16, **SMALL)
    return transformers.BertForSequenceClassification(config)


def gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=12, n_embd=16, n_layer=1, n_head=4, n_positions=16, use_cache=False
    )
    return transformers.GPT2LMHeadModel(config)


def llama() -> nn.Module:
    config = transformers.LlamaConfig(vocab_size=12, num_key_value_heads=2, use_cache=False, **SMALL)
    return transformers.LlamaForCausalLM(config)


def vit() -> nn.Module:
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=3, **SMALL)
    return transformers.ViTForImageClassification(config)


def swin() -> nn.Module:
    config = transformers.SwinConfig(
        image_size=8, patch_size=2, num_channels=1, embed_dim=8, depths=[2], num_heads=[2], window_size=2
    )
    return transformers.SwinForImageClassification(config)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "bert": bert, "gpt2": gpt2, "llama": llama, "swin": swin, "vit": vit
}  # fmt: skip


def build(kind: str) -> tuple[nn.Module, Tensor]:
    """A model whose numbers are as large as those of a trained one, and samples."""
    torch.manual_seed(0)
    model = Scores(KINDS[kind]()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    pictures = kind in ("vit", "swin")
    return model, torch.randn(3, 1, 8, 8) if pictures else torch.randint(0, 12, (3, 7))


def masked(model: nn.Module, found: Channels, gone: dict[int, set[int]]) -> dict[str, Tensor]:
    """The parameters, zero in every row and column of the units that are gone."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensor = parameter.detach().clone()
        for position in range(tensor.dim() if found.holds(name) else 0):
            out = [unit in gone.get(family, ()) for family, unit in found.units(name, position)]
            tensor.movedim(position, 0)[torch.tensor(out)] = 0
        tensors[name] = tensor
    return tensors


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[pytest.mark.slow] * (k not in ("gpt2", "vit"))) for k in KINDS]
)
def test_almost_all_can_change_and_what_is_cut_out_is_what_was_masked(kind: str) -> None:
    model, x = build(kind)
    found = tried_channels(model, trace(model, x), (x,))
    free = [group for group in found.groups if group.can_change]
    held = {name for group in free for name, _ in group.dimensions}
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(size for name, size in sizes.items() if name in held) >= 0.95 * sum(sizes.values())
    wanted, compared = model(x), 0
    for group in free:
        kept, gone = {}, {}
        for family in found.families_of(group):
            units = found.units_in(family)
            kept[family] = tuple(range(0, units, 2))
            gone[family] = set(range(1, units, 2))
        changed = changed_copy(model, found, kept, "slice", 0)
        outputs = changed(x)
        assert outputs.shape == wanted.shape
        if not any("averages" in note or "goes over" in note for note in group.notes):
            expected = torch.func.functional_call(model, masked(model, found, gone), (x,))
            torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-4)
            assert (expected - wanted).abs().max() > 1e-2  # they were of use
            compared += 1
    assert compared >= 2  # the heads and the feed-forward


class Heads(nn.Module):
    """Attention that counts its heads itself, and reads two numbers that have nothing to do with them."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.size, self.steps, self.blocks = 4, 4, 4, 4
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, self.steps, 16)
        q, k, v = (
            layer(x).view(-1, x.shape[1], self.heads, self.size).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        y = (q @ k.transpose(-1, -2) / self.blocks).softmax(-1) @ v
        y = y.transpose(1, 2).reshape(-1, x.shape[1], self.heads * self.size)
        scores: Tensor = self.head(self.out(y).mean(dim=1))
        return scores


def test_of_numbers_with_the_same_value_only_the_right_one_follows() -> None:
    torch.manual_seed(0)
    model, x = Heads().eval(), torch.randn(5, 64)
    changed: Any = resize(model, x, {"q": 1.5})
    assert (changed.heads, changed.size, changed.steps, changed.blocks) == (6, 4, 4, 4)
    assert changed.q.weight.shape == (24, 16)
    assert (model.heads, model.q.out_features) == (4, 16)


def test_heads_that_a_module_counts_itself_come_back_from_a_file(tmp_path: Path) -> None:
    model, x = Heads().eval(), torch.randn(5, 64)
    changed = resize(model, x, {"q": 0.5})
    save_resized(changed, "heads", tmp_path / "resized.safetensors")
    loaded: Any = load_resized(tmp_path / "resized.safetensors", Heads())
    assert (loaded.heads, loaded.size) == (2, 4)
    assert torch.equal(loaded(x), changed(x))


def test_states_of_recurrent_layers_in_both_directions_change_as_one() -> None:
    model, x = width_zoo.build("recurrent")
    found = tried_channels(model, trace(model, x), (x,))
    by_name = {group.name: group for group in found.groups}
    assert {name: (group.width, group.can_change) for name, group in by_name.items()} == {
        "embed": (6, True), "first": (4, True), "second": (6, True), "head": (3, False)
    }  # fmt: skip
    (family,) = found.families_of(by_name["first"])
    changed: Any = changed_copy(model, found, {family: (0, 3)}, "slice", 0)
    assert (changed.first.hidden_size, changed.second.input_size) == (2, 4)
    expected = torch.func.functional_call(model, masked(model, found, {family: {1, 2}}), (x,))
    torch.testing.assert_close(changed(x), expected)
