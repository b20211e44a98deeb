"""Multiply-accumulates of the networks of transformers are those that PyTorch counts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.evaluate.definition import defined_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.flop_counter import counted_by_torch

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = {"vocab_size": 50}


class Scores(nn.Module):
    """The scores alone, whatever the model gives beside them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        given: dict[str, Any] = {"decoder_input_ids": x} if isinstance(self.model, T5) else {}
        if not isinstance(self.model, ViT | Mamba):
            given["use_cache"] = False
        if isinstance(self.model, Bert):
            del given["use_cache"]
        scores: Tensor = self.model(x, return_dict=True, **given).logits
        return scores


T5, ViT = transformers.T5ForConditionalGeneration, transformers.ViTForImageClassification
Mamba, Bert = transformers.MambaForCausalLM, transformers.BertForSequenceClassification
KINDS: dict[str, Callable[[], nn.Module]] = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **WORDS)
    ),
    "bert": lambda: Bert(transformers.BertConfig(**SMALL, **WORDS)),
    "opt": lambda: transformers.OPTForCausalLM(
        transformers.OPTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=64,
            word_embed_proj_dim=32,
            **WORDS,
        )
    ),
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SMALL, **WORDS, num_key_value_heads=2)
    ),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(**SMALL, **WORDS, num_key_value_heads=2)
    ),
    "t5": lambda: T5(transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, **WORDS)),
    "vit": lambda: ViT(transformers.ViTConfig(**SMALL, image_size=16, patch_size=4)),
    "mamba": lambda: Mamba(
        transformers.MambaConfig(
            hidden_size=32, num_hidden_layers=2, state_size=4, use_mambapy=False, **WORDS
        )
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_macs_are_those_that_pytorch_counts(kind: str) -> None:
    torch.manual_seed(0)
    model = Scores(KINDS[kind]()).eval()
    inputs = torch.randn(3, 3, 16, 16) if kind == "vit" else torch.randint(0, 50, (3, 8))
    program = trace(model, inputs, kind)
    cost = NetworkCost(program.network)
    assert cost.of(Plan())["macs"] == counted_by_torch(model, inputs[:1])
    eight = FixedPoint(8, 5)
    plan = Plan.of(dict.fromkeys(program.network.product_layers, LayerPlan(eight, eight, eight)))
    assert cost.of(plan)["bitops"] < cost.of(Plan())["bitops"]
    rounded = defined_outputs(lower(program), plan, inputs)
    assert rounded.shape[0] == len(inputs)
    assert rounded.isfinite().all()
