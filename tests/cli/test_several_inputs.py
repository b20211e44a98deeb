"""Several inputs, sequences of any length, Datasets: from data to a search and its artefact."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import narrower
from narrower.data.datasets import load_data_set
from narrower.errors import DataError
from tests.conftest import RunNarrower

MODULE = '''
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

CHANCE = np.random.default_rng(0)
WIDE = CHANCE.normal(size=(400, 4)).astype("float32")
DEEP = CHANCE.normal(size=(400, 3)).astype("float32")
CLASSES = (WIDE[:, 0] + DEEP[:, 0] > 0).astype(int)
TOKENS = [CHANCE.integers(5, 40, size=CHANCE.integers(4, 9)).tolist() for _ in range(300)]


class Two(nn.Module):
    """Arguments in another order than the data have them; a dictionary comes back."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, wide, deep):
        return {"scores": self.c((self.a(wide) + self.b(deep)).relu()), "more": wide}


class InOrder(Two):
    def forward(self, x, y):
        return super().forward(x, y)["scores"]


class Words(nn.Module):
    """A mean over the tokens that count."""

    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(40, 8), nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        counts = attention_mask[:, :, None].float()
        return self.last((self.table(input_ids) * counts).sum(1) / counts.sum(1))


class Samples(Dataset):
    def __init__(self, start=0): self.start = start
    def __len__(self): return 120
    def __getitem__(self, i): return WIDE[self.start + i], DEEP[self.start + i], int(CLASSES[self.start + i])


def named(): return {"deep": DEEP, "wide": WIDE, "label": CLASSES}
def in_order(): return (WIDE, DEEP), CLASSES
def odd(): return {"deep": DEEP, "broad": WIDE, "label": CLASSES}
def short(): return (WIDE, DEEP[:-1]), CLASSES
def tokens(): return {"input_ids": TOKENS, "labels": [ids[0] % 2 for ids in TOKENS]}
def padded(): return TOKENS, [ids[0] % 2 for ids in TOKENS]
def samples(): return Samples()
def loaders(): return tuple(DataLoader(Samples(s), batch_size=7, shuffle=True) for s in (0, 120, 240))
'''
SEARCH = """
[search.search_space]
name = "quantize"
setup = { by = "type" }
seed.linear.config = { name = ["integer"], data_in_width = [8], weight_width = [3, 8], bias_width = [8] }
[search.strategy]
setup = { sampler = "tpe", n_trials = 4 }
metrics = { accuracy = {}, bitops = {} }
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("several.py").write_text(MODULE)


def settings(model: str, data: str, more: str = "") -> None:
    top = f'model = "{model}"\ndataset = "{data}"\nproject = "p"\nmax_epochs = 1\nbatch_size = 32\n'
    Path("run.toml").write_text(top + more + SEARCH)


@pytest.mark.parametrize(
    ("model", "data", "more", "names"),
    [
        ("several:Two", "several:named", 'output = "scores"\n', ["deep", "wide"]),
        ("several:InOrder", "several:in_order", "", None),
        ("several:InOrder", "several:samples", "", None),
        ("several:InOrder", "several:loaders", "", None),
        ("several:Words", "several:tokens", "", ["input_ids", "attention_mask"]),
    ],
)
def test_it_is_searched_and_exported(
    model: str, data: str, more: str, names: list[str] | None, run_narrower: RunNarrower
) -> None:
    settings(model, data, more)
    for command in (["check", "run.toml"], ["search", "--config", "run.toml"]):
        code, _, err = run_narrower(*command)
        assert code == 0, err
    number = str(json.loads(Path("runs/p/front.json").read_text())["members"][0]["number"])
    for kind in ("onnx", "safetensors"):
        code, out, err = run_narrower(
            "export", "runs/p", "--trial", number, "--to", kind, "--samples", "1000", "--json"
        )
        assert code == 0, err
        assert json.loads(out)["passed"]
    session = onnxruntime.InferenceSession(f"runs/p/exports/trial-{number}/model.onnx")
    found = load_data_set(data)
    arguments = found.validation.arguments
    assert names is None or list(found.argument_names) == names
    assert len(session.get_inputs()) == 2
    by_input = {i.name: a.numpy() for i, a in zip(session.get_inputs(), arguments, strict=True)}
    scores = torch.from_numpy(session.run(None, by_input)[0])
    file = f"runs/p/exports/trial-{number}/model.safetensors"
    name = f"{model}?output=scores" if more else model
    again = narrower.load_compressed(file, name)(*arguments)
    assert torch.equal(scores.argmax(1), again.argmax(1))


def test_sequences_are_filled_up_and_a_mask_says_so() -> None:
    import several  # type: ignore[import-not-found]

    named, alone = load_data_set("several:tokens"), load_data_set("several:padded?pad=39")
    for data, pad in ((named, 0), (alone, 39)):
        rows = torch.cat([part.inputs for part in data.parts.values()])
        expected = sorted(ids + [pad] * (8 - len(ids)) for ids in several.TOKENS)
        assert sorted(rows.tolist()) == expected
    for part in named.parts.values():
        (mask,) = part.more
        assert torch.equal(mask.bool(), part.inputs != 0)  # tokens are from 5 on
    assert any("4 to 8 places are filled up with 0" in note for note in named.notes)


def test_a_dataset_holds_its_samples_in_their_order() -> None:
    import several

    data = load_data_set("several:loaders")
    assert data.validation.targets.tolist() == several.CLASSES[120:240].tolist()
    mean, deviation = several.DEEP[:120].mean(0), several.DEEP[:120].std(0)
    wanted = (several.DEEP[240:360] - mean) / deviation
    np.testing.assert_allclose(data.test.more[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (
            "several:Two",
            "several:odd",
            "takes no argument 'broad', which the data have; it takes: wide, deep",
        ),
        ("several:InOrder", "several:short", "different numbers of samples"),
        ("several:Two", "several:named", "'?output=...' behind the model's name"),
        ("several:Words", "several:padded", "missing 1 required positional argument"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    model: str, data: str, said: str, run_narrower: RunNarrower
) -> None:
    settings(model, data)
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_what_has_one_input_only_is_not_written_for_two(run_narrower: RunNarrower) -> None:
    settings("several:InOrder", "several:in_order")
    assert run_narrower("search", "--config", "run.toml")[0] == 0
    number = str(json.loads(Path("runs/p/front.json").read_text())["members"][0]["number"])
    code, _, err = run_narrower("export", "runs/p", "--trial", number, "--to", "c", "--samples", "1000")
    assert code == 2
    assert "networks with one input; this one has 2" in err


def test_dictionaries_without_a_target_are_refused() -> None:
    Path("several.py").write_text(MODULE + "\ndef lost(): return {'deep': DEEP, 'wide': WIDE}\n")
    sys.modules.pop("several", None)
    with pytest.raises(DataError, match="returned a dict with the keys"):
        load_data_set("several:lost")
