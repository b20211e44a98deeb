"""What a data set says of how its inputs were made gives them back from raw numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from narrower.data.datasets import as_data_set, load_data_set
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import Prepared, Scaling, prepared_dict

CHANCE = np.random.default_rng(0)
NUMBERS = CHANCE.normal(50, 10, (120, 3)).astype(np.float32)
SIGNALS = CHANCE.normal(-3, 2, (120, 2, 5)).astype(np.float32)
TOKENS = CHANCE.integers(0, 9, (120, 4))
CLASSES = np.arange(120) % 2


def rows(values: NDArray[np.float32]) -> list[tuple[float, ...]]:
    return sorted(tuple(row) for row in values.reshape(len(values), -1).round(4).tolist())


def scaled(raw: NDArray[np.generic], scaling: Scaling | None) -> NDArray[np.float32]:
    assert scaling is not None
    mean, deviation = (np.reshape(v, scaling.shape) for v in (scaling.mean, scaling.deviation))
    return ((raw.astype(np.float64) - mean) / deviation).astype(np.float32)


def held(data: DataSet, argument: int = 0) -> NDArray[np.float32]:
    return torch.cat([part.arguments[argument] for part in data.parts.values()]).numpy()


def made(data: DataSet) -> Prepared:
    assert data.prepared is not None
    return data.prepared


def test_arrays_of_a_file_are_scaled_each_by_its_own(tmp_path: Path) -> None:
    np.savez(tmp_path / "held.npz", x=NUMBERS, s=SIGNALS, t=TOKENS, y=CLASSES * 2.5 + NUMBERS[:, 0])
    data = load_data_set(f"{tmp_path / 'held.npz'}?target=y&features=s,x,t&task=regression")
    signals, numbers, tokens = made(data).inputs
    assert [signals.name, numbers.name, tokens.name] == ["s", "x", "t"]
    assert rows(held(data)) == rows(scaled(SIGNALS, signals.scaling))
    assert rows(held(data, 1)) == rows(scaled(NUMBERS, numbers.scaling))
    assert tokens.scaling is None
    targets = torch.cat([part.targets for part in data.parts.values()]).numpy()
    assert rows(targets) == rows(scaled(CLASSES * 2.5 + NUMBERS[:, 0], made(data).outputs))


def test_levels_of_pictures_are_scaled_by_channel(tmp_path: Path) -> None:
    pixels = CHANCE.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        place = tmp_path / "pictures" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    data = load_data_set(f"{tmp_path / 'pictures'}/")
    assert rows(held(data)) == rows(scaled(pixels.transpose(0, 3, 1, 2), made(data).inputs[0].scaling))


def test_own_parts_and_named_sets_say_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "numbers.npy", NUMBERS)
    (tmp_path / "prepared_parts.py").write_text(
        "import numpy as np\n"
        f"x = np.load({str(tmp_path / 'numbers.npy')!r})\n"
        "def three():\n    return tuple((x[i::3], np.arange(40) % 2) for i in range(3))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    data = load_data_set("prepared_parts:three")
    assert rows(held(data)) == rows(scaled(NUMBERS, made(data).inputs[0].scaling))
    from narrower.data.sources import diabetes

    table, known = diabetes(), load_data_set("diabetes")
    (features,) = made(known).inputs
    assert tuple(feature.column for feature in features.features) == table.feature_names
    assert rows(held(known)) == rows(scaled(table.inputs, features.scaling))


def test_what_gives_back_its_inputs_is_scaled_as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "held.npz", s=SIGNALS)
    data = load_data_set(f"{tmp_path / 'held.npz'}?task=reconstruction")
    assert made(data).outputs == made(data).inputs[0].scaling
    assert "as the inputs are" in made(data).said_of_outputs(data.output_names)[0]


def test_what_stays_as_it_is_has_no_scaling_and_what_is_not_known_says_nothing() -> None:
    plain = as_data_set((NUMBERS, CLASSES), standardise=False)
    assert made(plain).inputs[0].scaling is None
    assert prepared_dict(plain.prepared)["inputs"][0]["standardised"] is None
    part = Part(torch.from_numpy(NUMBERS), torch.from_numpy(CLASSES))
    given = DataSet("given", part, part, part, ("a", "b"))
    assert prepared_dict(given.prepared) == {"inputs": None, "targets": None}


def test_what_was_done_is_no_part_of_the_content() -> None:
    part = Part(torch.from_numpy(NUMBERS), torch.from_numpy(CLASSES))
    hashes = {
        DataSet("given", part, part, part, ("a", "b"), prepared=prepared).content_hash
        for prepared in (None, Prepared((), Scaling((1.0,), (2.0,), ())))
    }
    assert len(hashes) == 1
