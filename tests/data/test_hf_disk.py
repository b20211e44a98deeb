"""Folders as the package datasets saves them: its files are written here by pyarrow, in its form."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import narrower
from narrower.data.datasets import load_data_set
from narrower.errors import AbsentDataError, DataError, UnknownNameError


def saved(folder: Path, columns: dict[str, Any], names: list[str] | None = None) -> None:
    """One part: two files of samples, state.json and dataset_info.json."""
    folder.mkdir(parents=True)
    table = pa.table(columns)
    files = []
    for number, piece in enumerate((table[:30], table[30:])):
        file = f"data-{number:05d}-of-00002.arrow"
        with pa.OSFile(str(folder / file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(piece)
        files.append({"filename": file})
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": None}))
    label = {"_type": "ClassLabel", "names": names} if names else {"_type": "Value", "dtype": "int64"}
    (folder / "dataset_info.json").write_text(json.dumps({"features": {"label": label}}))


def samples(count: int, seed: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    tokens = [chance.integers(1, 20, size=chance.integers(3, 8)).tolist() for _ in range(count)]
    return {
        "text": [f"sentence {number}" for number in range(count)],
        "input_ids": tokens,
        "label": [sum(ids) % 2 for ids in tokens],
    }


def test_one_part_is_split_and_classes_have_their_names(tmp_path: Path) -> None:
    held = samples(100, 0)
    saved(tmp_path / "one", held, ["even", "odd"])
    data = load_data_set(f"hf-disk:{tmp_path}/one")
    assert data.output_names == ("even", "odd")
    assert data.argument_names == ("input_ids", "attention_mask")
    assert [len(part) for part in data.parts.values()] == [64, 16, 20]
    rows = {tuple(row[row > 0].tolist()) for part in data.parts.values() for row in part.inputs}
    assert rows == {tuple(ids) for ids in held["input_ids"]}


def test_its_own_parts_are_kept_and_validation_comes_from_training(tmp_path: Path) -> None:
    saved(tmp_path / "two" / "train", samples(100, 0))
    saved(tmp_path / "two" / "test", samples(50, 1))
    (tmp_path / "two" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    # the longest sequence of each part is filled up to its own length, which must be the same here
    data = load_data_set(f"hf-disk:{tmp_path}/two")
    assert [len(part) for part in data.parts.values()] == [80, 20, 50]
    assert any("drawn at random" in note for note in data.notes)
    assert sorted(data.test.targets.tolist()) == sorted(samples(50, 1)["label"])


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AbsentDataError, match="there is no folder"):
        load_data_set(f"hf-disk:{tmp_path}/absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no state\.json"):
        load_data_set(f"hf-disk:{tmp_path}/empty")
    saved(tmp_path / "one", samples(100, 0))
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        load_data_set(f"hf-disk:{tmp_path}/one?target=lable")
    (tmp_path / "one" / "data-00000-of-00002.arrow").write_bytes(b"no arrow")
    with pytest.raises(DataError, match="cannot be read"):
        load_data_set(f"hf-disk:{tmp_path}/one")


def test_a_dataset_of_pytorch_is_searched_from_python() -> None:
    inputs = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(inputs, (inputs[:, 0] > 0).long())
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    space = {"linear": {"data": [8], "weight": [3, 8], "bias": [8]}}
    found = narrower.search(model, data, space, ["accuracy", "bitops"], by="type")
    assert found.record.samples == 48
    again = narrower.search(model, (inputs, data.tensors[1]), space, ["accuracy", "bitops"], by="type")
    assert again.record.float32 == found.record.float32
