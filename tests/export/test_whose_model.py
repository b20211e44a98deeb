"""A file never decides which code is imported; whoever loads it does."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import narrower
from narrower.errors import CheckpointError
from narrower.export.compressed import save_compressed, save_packed
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.study.resized_files import save_resized
from tests.conftest import RunNarrower

MINE = """
from pathlib import Path
from torch import nn
Path("imported").touch()

def model():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
"""
EIGHT = FixedPoint(8, 4)
PLAN = Plan.of({"0": LayerPlan(EIGHT, EIGHT, EIGHT)})


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of the user's own that leaves a mark when it is imported, under a name that is new."""
    name = f"mine_{abs(hash(request.node.nodeid))}"
    Path(f"{name}.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    return f"{name}:model"


def module() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def write(kind: str, name: str) -> None:
    if kind == "resized":
        save_resized(module(), name, Path("file.safetensors"))
    else:
        save = save_compressed if kind == "compressed" else save_packed
        save(module(), name, PLAN, Path("file.safetensors"), [torch.zeros(2, 4)])


LOADERS = {
    "compressed": narrower.load_compressed,
    "packed": narrower.load_compressed,
    "resized": narrower.load_resized,
}


@pytest.mark.parametrize("kind", LOADERS)
def test_a_module_that_a_file_names_is_not_imported(kind: str, mine: str) -> None:
    write(kind, mine)
    with pytest.raises(CheckpointError, match="does not decide what is imported"):
        LOADERS[kind]("file.safetensors")
    assert not Path("imported").exists()


@pytest.mark.parametrize("kind", LOADERS)
def test_the_caller_names_the_model_or_gives_it(kind: str, mine: str) -> None:
    write(kind, "somebody.elses:model")
    by_name = LOADERS[kind]("file.safetensors", model=mine)
    assert Path("imported").exists()
    given = module()
    with torch.no_grad():
        given[0].weight.zero_()  # type: ignore[union-attr, operator]
    by_module = LOADERS[kind]("file.safetensors", given)
    inputs = torch.randn(8, 4)
    torch.testing.assert_close(by_name(inputs), by_module(inputs), rtol=0, atol=0)
    assert not given.state_dict()["0.weight"].any()  # left alone


def test_a_module_of_one_line_in_the_metadata_is_not_imported_by_transform(
    run_narrower: RunNarrower, mine: str
) -> None:
    """The weights that a settings file names hold the name of another module."""
    narrow = narrower.resize(narrower.build_model("jsc-toy"), torch.randn(3, 16), {"seq_blocks.2": 0.5})
    plan = Plan.of({"seq_blocks.2": LayerPlan(weight=EIGHT, width=0.5)})
    save_compressed(narrow, "jsc-toy", plan, Path("good.safetensors"))
    with safe_open("good.safetensors", framework="pt") as file:
        metadata = {**file.metadata(), "narrower.model": mine}
    save_file(load_file("good.safetensors"), "evil.safetensors", metadata)
    table = '[plan."seq_blocks.2"]\nweight = "fixed(8,frac=4)"\nwidth = 0.5\n'
    Path("plan.toml").write_text(f'model = "jsc-toy"\nload = "evil.safetensors"\n{table}', encoding="utf-8")
    code, _, err = run_narrower("transform", "--config", "plan.toml", "--output", "out.safetensors")
    assert (code, Path("imported").exists()) == (0, False), err
    with safe_open("out.safetensors", framework="pt") as file:
        assert file.metadata()["narrower.model"] == "jsc-toy"


def test_transform_takes_the_name_of_the_model(run_narrower: RunNarrower, mine: str) -> None:
    save_file(module().state_dict(), "weights.safetensors")
    Path("plan.toml").write_text(
        'model = "toy"\nload = "weights.safetensors"\n[plan."0"]\nweight = "fixed(8,frac=4)"\n',
        encoding="utf-8",
    )
    code, out, err = run_narrower("transform", "--config", "plan.toml", "--model", mine)
    assert code == 0, err
    assert mine in out
    loaded = narrower.load_compressed("model.safetensors", model=mine)
    assert loaded(torch.zeros(2, 4)).shape == (2, 3)


def test_a_damaged_note_is_an_error() -> None:
    save_file(module().state_dict(), "file.safetensors", {"narrower.resized": json.dumps([1])})
    with pytest.raises(CheckpointError, match="names no model"):
        narrower.load_resized("file.safetensors")


def test_models_of_the_program_are_found_by_the_name_and_sizes_in_the_file(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("resize", "toy", "--set", "seq_blocks.0=0.5", "--dataset", "jets")
    assert code == 0, err
    assert narrower.load_resized("resized.safetensors")(torch.zeros(2, 16)).shape == (2, 5)
