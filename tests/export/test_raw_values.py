"""From raw rows and what stands beside an artefact alone, its inputs and what it foretells follow."""

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.export.device import deliver
from narrower.export.device.compiled import Build
from narrower.export.subject import Wishes
from narrower.study.result import SearchResult
from tests.export.device.agree import needs_gcc

COUNT = 240
COLOURS = ("red", "a */ /* b", "grün", "")
CHOSEN = "features=colour,size,age,garden"
CHANCE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which numbers and categories are missing; its sizes all differ."""
    path = tmp_path_factory.mktemp("houses") / "houses.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(["colour", "size", "age", "garden", "price", "kind"])
        for size in CHANCE.permutation(COUNT):
            age = "" if CHANCE.random() < 0.2 else int(CHANCE.integers(1, 90))
            garden, colour = ("yes", "no")[int(CHANCE.integers(2))], COLOURS[int(CHANCE.integers(4))]
            price = 285_000.5 + 1234.25 * float(size) + 5000 * (garden == "yes")
            write([colour, size + 0.5, age, garden, price, ("hut", "villa")[int(size > COUNT / 2)]])
    return path


def searched(data: DataSet, name: str) -> SearchResult:
    torch.manual_seed(0)
    features, outputs = data.train.inputs.shape[1], len(data.output_names)
    model = nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, outputs))
    space = {layer: {"weight": [6], "data": [8], "bias": [8]} for layer in ("0", "2")}
    leading = "mae" if outputs == 1 else "accuracy"
    return narrower.search(model, name, space, [leading, "bitops"], n_trials=1)


def made_of(row: dict[str, str], feature: dict[str, Any]) -> float:
    raw: Any = row[feature["column"]] or feature["missing"]
    if feature["kind"] == "one-hot":
        return float(raw == feature["category"])
    return float(feature["categories"].index(raw) if feature["kind"] == "code" else raw)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return sorted(csv.DictReader(file), key=lambda row: float(row["size"]))


def inputs_of(path: Path, described: dict[str, Any]) -> NDArray[np.float32]:
    """The inputs of all rows, ordered by size."""
    (made,) = described["inputs"]
    held = np.array([[made_of(row, feature) for feature in made["features"]] for row in rows_of(path)])
    by = made["standardised"]
    return ((held - by["mean"]) / by["deviation"]).astype(np.float32)


def all_of(data: DataSet, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All inputs and targets, ordered by size."""
    inputs, targets = (
        torch.cat([getattr(part, what) for part in data.parts.values()]) for what in ("inputs", "targets")
    )
    order = inputs[:, size].argsort()
    return inputs[order], targets[order]


@pytest.mark.parametrize("ending", ["", "&categories=codes"])
@pytest.mark.parametrize("target", ["price", "kind"])
def test_raw_rows_give_what_the_search_foretold(
    houses: Path, target: str, ending: str, tmp_path: Path
) -> None:
    data = load_data_set(name := f"{houses}?target={target}&{CHOSEN}{ending}")
    found = searched(data, name)
    member = found.front[0]["number"]
    found.export(member, "onnx", tmp_path, Wishes(samples=1000, keeps_integers=True))
    manifest = json.loads((tmp_path / "model.onnx.manifest.json").read_text())
    inputs = inputs_of(houses, manifest)
    own, targets = all_of(data, data.feature_names.index("size"))
    np.testing.assert_array_equal(inputs, own)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {session.get_inputs()[0].name: inputs})
    foretold = found.model(member)(own).detach().numpy()
    np.testing.assert_allclose(outputs, foretold, rtol=1e-5, atol=1e-6)
    held = json.loads(session.get_modelmeta().custom_metadata_map["narrower"])
    assert held == {key: manifest[key] for key in held}
    if target == "kind":
        assert manifest["targets"]["standardised"] is None
        assert [row["kind"] for row in rows_of(houses)] == [held["class_names"][i] for i in targets]
        return
    by = held["targets"]["standardised"]
    prices = np.array([[float(row["price"])] for row in rows_of(houses)])
    undone = outputs * by["deviation"] + by["mean"]
    np.testing.assert_allclose(targets.numpy()[:, None] * by["deviation"] + by["mean"], prices, rtol=1e-5)
    (mae,) = (metric for metric in data.task.metrics if metric.name == "mae")
    sums = mae.sums(torch.from_numpy(foretold), targets)
    assert mae.value(sums, COUNT) == pytest.approx(np.abs(undone - prices).mean(), rel=1e-5)
    assert f"price = {by['deviation'][0]:,.6g} x output + {by['mean'][0]:,.6g}" in manifest["notes"][0]


@needs_gcc
def test_a_header_says_by_what_inputs_and_outputs_are_scaled(
    houses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's warnings, which are errors, see the names of categories as well."""
    few = [Build("gcc", ("-O0",))]
    monkeypatch.setattr(deliver, "builds", lambda *, sanitized: [] if sanitized else few)
    found = searched(load_data_set(name := f"{houses}?target=price&{CHOSEN}"), name)
    found.export(found.front[0]["number"], "c", tmp_path, Wishes(samples=1000))
    manifest = json.loads((tmp_path / "c.manifest.json").read_text())
    (header,) = (tmp_path / "c").glob("*.h")
    text, upper = header.read_text(), header.stem.upper()
    assert 'of "colour": 1 where it is "red", else 0; what is missing is "missing"' in text
    names = [f"{upper}_{what}_{which}" for what in ("INPUT", "OUTPUT") for which in ("MEAN", "DEVIATION")]
    blocks = "".join(
        f"{{ static const double v[] = {name}; unsigned i;"
        'for (i = 0; i < sizeof v / sizeof *v; i++) printf("%.17g ", v[i]); }'
        for name in names
    )
    program = f'#include "{header.name}"\n#include <stdio.h>\nint main(void) {{ {blocks} return 0; }}\n'
    (tmp_path / "c" / "say.c").write_text(program)
    gcc = str(shutil.which("gcc"))
    subprocess.run(
        [gcc, "-std=c99", "-Wall", "-Werror", "say.c", "-o", "say"], cwd=tmp_path / "c", check=True
    )
    said = subprocess.run([tmp_path / "c" / "say"], capture_output=True, text=True, check=True).stdout.split()
    inputs, outputs = manifest["inputs"][0]["standardised"], manifest["targets"]["standardised"]
    wanted = [*inputs["mean"], *inputs["deviation"], *outputs["mean"], *outputs["deviation"]]
    assert list(map(float, said)) == wanted
    assert "a */" not in text
