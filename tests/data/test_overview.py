"""What ``narrower data`` shows is what can be counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from narrower.data.datasets import load_data_set
from narrower.data.overview import overview
from tests.conftest import RunNarrower


@pytest.fixture
def path(tmp_path: Path) -> str:
    lines = [
        "size,kind,label",
        *(f"{i % 7},{'ab'[i % 2]},{'yes' if i % 4 == 0 else 'no'}" for i in range(400)),
    ]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(lines))
    return f"{file}?target=label"


def test_parts_classes_and_ranges(path: str) -> None:
    data = load_data_set(path)
    found = overview(data)
    assert found.parts == {"train": 256, "validation": 64, "test": 80}
    assert [each.name for each in found.classes] == ["no", "yes"]
    assert found.classes[1].shares == pytest.approx((0.25, 0.25, 0.25))
    (size, kind) = found.columns
    values = data.train.inputs[:, 0].double().numpy()
    assert (size.least, size.most) == (values.min(), values.max())
    assert (size.mean, size.deviation) == pytest.approx((0, 1), abs=1e-6)
    assert sum(size.counts) == 256
    assert kind.name == "kind=b"


def test_the_command_shows_them_and_says_what_leaks(path: str, run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("data", path, "--json")
    assert code == 0, err
    assert (found := json.loads(out))["parts"]["test"] == 80
    assert [each["name"] for each in found["inputs"][0]["features"]] == ["size", "kind=b"]
    code, out, err = run_narrower("data", path)
    assert code == 0, err
    assert "25.0%" in out
    assert "also in the training part" in err


@pytest.mark.parametrize("name", ["toy-labels", "toy-shapes", "toy-sequences", "digits", "diabetes"])
def test_every_kind_of_task_is_shown(name: str, run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("data", name)
    assert code == 0, err
    assert "train" in out


def test_a_wrong_file_is_one_sentence(tmp_path: Path, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("data", str(tmp_path / "absent.csv"), "--target", "x")
    assert code == 2
    assert "no such file" in err
    np.save(tmp_path / "x.npy", np.zeros((5, 3)))
    code, _, err = run_narrower("data", str(tmp_path / "x.npy"), "--target", "column 9")
    assert code == 2
    assert "did you mean 'column" in err
