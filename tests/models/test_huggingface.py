"""Models of transformers from a folder; and of several outputs one is taken."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from narrower.cost.network_cost import NetworkCost
from narrower.errors import ModelError
from narrower.graph.trace import trace
from narrower.models.build import build_model
from tests.conftest import RunNarrower

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
KINDS: dict[str, Any] = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=12, n_embd=16, n_layer=1, n_head=2, n_positions=16)
    ),
    "bert": lambda: transformers.BertForMaskedLM(
        transformers.BertConfig(vocab_size=12, max_position_embeddings=16, **SMALL)
    ),
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=12, num_key_value_heads=2, **SMALL)
    ),
    "vit": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=3, **SMALL)
    ),
}
OWN = """
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 5)

    def forward(self, x):
        y = self.layer(x)
        return {"hidden": x, "scores": y}
"""


def example(kind: str) -> torch.Tensor:
    return torch.randn(3, 1, 8, 8) if kind == "vit" else torch.randint(0, 12, (3, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_scores_of_its_model_with_and_without_weights(kind: str, tmp_path: Path) -> None:
    model = KINDS[kind]().eval()
    model.save_pretrained(tmp_path / "whole")
    inputs = example(kind)
    loaded = build_model(f"hf:{tmp_path}/whole").eval()
    assert torch.equal(loaded(inputs), model(inputs).logits)
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text((tmp_path / "whole" / "config.json").read_text())
    untrained = build_model(f"hf:{config}").eval()
    assert untrained(inputs).shape == loaded(inputs).shape
    assert not torch.equal(untrained(inputs), loaded(inputs))
    program = trace(loaded, inputs)
    assert NetworkCost(program.network).macs > 0


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        build_model(f"hf:{tmp_path}/absent")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "architectures": ["Nothing"]}))
    with pytest.raises(ModelError, match="names 'Nothing'"):
        build_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        build_model(f"hf:{tmp_path}")


def test_one_of_several_outputs_is_taken_by_its_name(
    tmp_path: Path, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("twofold.py").write_text(OWN)
    code, _, err = run_narrower("train", "twofold:Two", "jets", "--max-epochs", "1")
    assert code == 2
    assert "the model gives a dictionary of 'hidden', 'scores'" in err
    code, _, err = run_narrower("train", "twofold:Two?output=score", "jets", "--max-epochs", "1")
    assert code == 2
    assert "output: found 'score'" in err
    code, out, err = run_narrower("profile", "twofold:Two?output=scores", "jets", "--json")
    assert code == 0, err
    assert json.loads(out)["macs"] == 16 * 5


def test_a_language_model_is_searched_and_exported(
    tmp_path: Path, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    KINDS["gpt2"]().save_pretrained(tmp_path / "small")
    np.savez(tmp_path / "text.npz", ids=np.cumsum(np.ones((60, 8), dtype=np.int64), 1) % 11)
    Path("run.toml").write_text("""
model = "hf:small"
dataset = "text.npz"
task = "language-modelling"
project = "p"
max_epochs = 1
batch_size = 16
[search.search_space]
name = "quantize"
setup.by = "type"
[search.search_space.seed.linear.config]
name = ["integer"]
data_in_width = [8]
data_in_frac_width = ["auto"]
weight_width = [4, 8]
weight_frac_width = ["auto"]
bias_width = [8]
bias_frac_width = ["auto"]
[search.strategy]
setup = { sampler = "random", n_trials = 2 }
metrics = { perplexity = {}, bitops = {} }
""")
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err
    number = str(json.loads(Path("runs/p/front.json").read_text())["members"][0]["number"])
    code, out, err = run_narrower(
        "export", "runs/p", "--trial", number, "--to", "safetensors", "--samples", "1000", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["passed"]


TOKENS = """
import numpy as np
CHANCE = np.random.default_rng(0)
IDS = [CHANCE.integers(4, 12, size=CHANCE.integers(4, 9)).tolist() for _ in range(120)]
def words(): return {"input_ids": IDS}
def kinds(): return {"input_ids": IDS, "labels": [sum(ids) % 2 for ids in IDS]}
"""


@pytest.mark.parametrize("kind", ["gpt2", "bert", "llama"])
def test_sequences_of_any_length_go_from_data_to_search_to_export(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_narrower: RunNarrower
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    KINDS[kind]().save_pretrained("model")
    Path("filled_up.py").write_text(TOKENS)
    task = "masked-language-modelling" if kind == "bert" else "language-modelling"
    Path("run.toml").write_text(f"""
model = "hf:model"
dataset = "filled_up:words"
task = "{task}"
project = "p"
max_epochs = 1
batch_size = 32
{"mask = 3" if kind == "bert" else ""}
[search.search_space]
name = "quantize"
setup = {{ by = "type" }}
seed.linear.config = {{ name = ["integer"], data_in_width = [8], weight_width = [8, 4], bias_width = [8] }}
[search.strategy]
setup = {{ sampler = "tpe", n_trials = 2 }}
metrics = {{ perplexity = {{}}, bitops = {{}} }}
""")
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err
    to = "safetensors" if kind == "llama" else "onnx"  # roots of means round differently in ONNX Runtime
    code, out, err = run_narrower(
        "export", "runs/p", "--trial", "0", "--to", to, "--samples", "1000", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["passed"]


def test_a_picture_transformer_is_searched_and_exported(
    tmp_path: Path, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    KINDS["vit"]().save_pretrained("model")
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 120)
    pictures = chance.normal(size=(120, 1, 8, 8)) + classes[:, None, None, None]
    np.savez("pictures.npz", pictures=pictures.astype(np.float32), kind=classes)
    Path("run.toml").write_text("""
model = "hf:model"
dataset = "pictures.npz"
target = "kind"
project = "p"
max_epochs = 1
batch_size = 32
[search.search_space]
name = "quantize"
setup = { by = "type" }
seed.linear.config = { name = ["integer"], data_in_width = [8], weight_width = [8, 4], bias_width = [8] }
[search.strategy]
setup = { sampler = "tpe", n_trials = 2 }
metrics = { accuracy = {}, bitops = {} }
""")
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err
    code, out, err = run_narrower("export", "runs/p", "--trial", "0", "--to", "onnx", "--json")
    assert code == 0, err
    assert json.loads(out)["passed"]
