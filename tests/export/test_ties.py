"""Artefacts whose roundings go to the other of two nearest steps pass; other computations do not."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from narrower.data.parts import DataSet, Part
from narrower.export.deliver import export_plan
from narrower.export.execute import run_onnx
from narrower.export.onnx_model import build_onnx, to_onnx
from narrower.export.own_outputs import own_outputs
from narrower.export.subject import Subject, Wishes
from narrower.export.ties import Ties, find_ties
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.tokens.task import LANGUAGE_MODELLING

WORDS, PLACES = 12, 10
EIGHT = LayerPlan(data=FixedPoint(8, 5), weight=FixedPoint(8, 5))


def tiny(kind: str, chance: random.Random) -> nn.Module:
    sizes: dict[str, Any] = {
        "hidden_size": chance.choice([16, 24, 32]),
        "num_hidden_layers": chance.choice([1, 2]),
        "num_attention_heads": chance.choice([2, 4]),
        "intermediate_size": chance.choice([20, 32, 48]),
    }
    if kind == "llama":
        model: Any = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(vocab_size=WORDS, num_key_value_heads=2, use_cache=False, **sizes)
        )
    elif kind == "bert":
        model = transformers.BertForMaskedLM(
            transformers.BertConfig(vocab_size=WORDS, max_position_embeddings=16, **sizes)
        )
    else:
        wide = {"n_embd": sizes["hidden_size"], "n_layer": sizes["num_hidden_layers"], "n_head": 2}
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=WORDS, n_positions=16, use_cache=False, **wide)
        )
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data *= 10  # of 0.02: at 8 bits nothing would be left
    return model.eval()


def random_plan(program: Program, chance: random.Random) -> Plan:
    return Plan.of(
        {
            layer: LayerPlan(
                data=FixedPoint(bits, bits - chance.choice([2, 3, 4])),
                weight=FixedPoint(chance.choice([4, 6, 8]), chance.choice([3, 5, 6])),
            )
            for layer in program.network.product_layers
            for bits in (chance.choice([4, 6, 8, 12]),)
        }
    )


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("llama", 1),
        *(
            pytest.param(kind, seed, marks=pytest.mark.slow)
            for kind in ("llama", "bert", "gpt2")
            for seed in range(2, 6)
        ),
    ],
)
def test_language_models_with_any_plan_pass_and_say_what_was_counted(
    kind: str, seed: int, tmp_path: Path
) -> None:
    torch.manual_seed(seed)
    chance = random.Random(seed)
    tiny(kind, chance).save_pretrained(tmp_path / "model")  # type: ignore[operator]
    model = build_model(f"hf:{tmp_path / 'model'}").eval()
    words = torch.randint(0, WORDS, (300, PLACES))
    following = torch.cat([words[:, 1:], torch.full((300, 1), -100)], dim=1)
    parts = [Part(words[i::3], following[i::3], task=LANGUAGE_MODELLING) for i in range(3)]
    data = DataSet("words", *parts, tuple(map(str, range(WORDS))))
    plan = random_plan(lower(trace(model, data.examples, kind)), chance)
    manifest = export_plan(Subject(model, kind, plan, data), "onnx", tmp_path / "out", Wishes(samples=1000))
    held = json.loads((tmp_path / "out" / "model.onnx.manifest.json").read_text())
    gate = manifest.checks[0]
    assert held["passed"]
    if gate.passed("close"):
        assert "ties" not in held
    else:
        assert 0 < held["ties"]["differing"] < 1e-3 * held["ties"]["rounded"]
        assert held["ties"]["value"] == pytest.approx(held["ties"]["own_value"], rel=1e-3)
        assert any(note.startswith("ties: ") for note in held["notes"])


class Turning(nn.Module):
    """What follows SiLU is rounded: its last bits decide ties."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 4)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(nn.functional.silu(self.first(x)) * self.scale)
        return scores


def ties_of(artefact: Program, rounded_as: Plan, program: Program, plan: Plan, inputs: Tensor) -> Ties:
    built = build_onnx(artefact, rounded_as)
    path = Path("artefact.onnx")
    path.write_bytes(built.model.SerializeToString())
    # what the other artefact rounds stands for what ours would
    keys = {(name, FixedPoint(8, 5)): value for (name, _), value in built.roundings.items()}
    found = find_ties(program, plan, replace(built, roundings=keys), inputs, run_onnx(path, inputs))
    assert found is not None
    return found


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    monkeypatch.chdir(tmp_path)
    return torch.randn(20_000, 6, generator=torch.Generator().manual_seed(1))


def test_ties_are_found_where_the_runtime_has_other_last_bits(inputs: Tensor) -> None:
    plan = Plan.of({"first": EIGHT, "second": EIGHT})
    program = lower(trace(Turning(), (inputs[:3],), "turning"))
    found = ties_of(program, plan, program, plan, inputs)
    assert (found.rounded, found.samples) == (20_000 * (6 + 16), 20_000)
    assert (found.unexplained, found.elsewhere, found.largest_difference) == (0, 0, 0.0)


@pytest.mark.parametrize("wrong", ["a factor", "a rounding", "a range"])
def test_another_computation_is_not_taken_for_ties(wrong: str, inputs: Tensor) -> None:
    plan = Plan.of({"first": EIGHT, "second": EIGHT})
    program = lower(trace(Turning(), (inputs[:3],), "turning"))
    other, rounded_as = program, plan
    if wrong == "a factor":
        other = lower(trace(Turning(1.001), (inputs[:3],), "turning"))
    else:
        data = FixedPoint(8, 5, rounding="floor") if wrong == "a rounding" else FixedPoint(6, 5)
        rounded_as = Plan.of({"first": EIGHT, "second": replace(EIGHT, data=data)})
    found = ties_of(other, rounded_as, program, plan, inputs)
    assert found.differing > 0
    assert not found.explain


class Masked(nn.Module):
    """Positions are counted for each sample, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1])[None].expand(x.shape[0], -1)
        kept = torch.diff(places, dim=1, prepend=places[:, :1] - 1).cumsum(1) > 2
        return self.layer(x) * kept[:, :, None]


@pytest.mark.parametrize("batch_size", [None, 4])
def test_what_depends_on_the_number_of_samples_alone_is_a_constant(
    batch_size: int | None, inputs: Tensor, tmp_path: Path
) -> None:
    """There is no rule for differences, and none is needed."""
    samples = inputs[:80].reshape(-1, 5, 4)
    program = lower(trace(Masked().eval(), (samples[:3],), "masked"))
    model = to_onnx(program, Plan(), batch_size=batch_size)
    assert not {node.op_type for node in model.graph.node} & {"CumSum", "Greater"}
    (tmp_path / "masked.onnx").write_bytes(model.SerializeToString())
    theirs = run_onnx(tmp_path / "masked.onnx", samples)
    np.testing.assert_allclose(theirs, own_outputs(program, Plan(), samples), rtol=1e-5, atol=1e-6)
    assert (theirs[:, :2] == 0).all()
