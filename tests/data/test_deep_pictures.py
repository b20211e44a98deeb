"""Pictures with more than 256 levels keep their upper bits, and pictures of deeper folders are not lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrower.data.datasets import load_data_set
from narrower.errors import DataError

CHANCE = np.random.default_rng(5)


def folder(largest: int, kind: type = np.uint16, inner: str = "") -> dict[str, list[np.ndarray]]:
    """Two classes of ten pictures each of 4x6 levels up to ``largest``."""
    made = {}
    for name, most in (("bright", largest), ("dark", largest // 4)):
        made[name] = [CHANCE.integers(0, most, (4, 6), endpoint=True).astype(kind) for _ in range(10)]
        made[name][0][0, 0] = most
        place = Path("pictures") / name / inner
        place.mkdir(parents=True)
        for number, levels in enumerate(made[name]):
            Image.fromarray(levels).save(place / f"{number}.png")
    return made


def held(name: str) -> set[bytes]:
    data = load_data_set(name)
    parts = (data.train, data.validation, data.test)
    return {picture[0].numpy().astype(np.int64).tobytes() for part in parts for picture in part.inputs}


@pytest.mark.parametrize(("largest", "divisor"), [(65535, 256), (4095, 16), (300, 2), (255, 1)])
def test_of_more_bits_the_upper_eight_are_read(largest: int, divisor: int) -> None:
    made = folder(largest)
    expected = {(levels.astype(np.int64) // divisor).tobytes() for own in made.values() for levels in own}
    assert held("pictures/?standardise=no") == expected
    notes = [note for note in load_data_set("pictures/").notes if "bits" in note]
    assert len(notes) == (divisor > 1)
    if notes:
        assert f"20 pictures have levels up to {largest:,}" in notes[0]
        assert f"level {divisor} is 1" in notes[0]


def test_real_numbers_are_no_levels() -> None:
    folder(255, np.uint8)
    Image.fromarray(CHANCE.random((4, 6)).astype(np.float32)).save(Path("pictures/dark/a.tiff"))
    with pytest.raises(
        DataError, match=r"dark/a.tiff: its pixels lie from 0\..* whole numbers of up to 16 bits"
    ):
        load_data_set("pictures/")


def test_deeper_folders_belong_to_their_class_and_empty_ones_are_said() -> None:
    made = folder(255, np.uint8, inner="2024/spring")
    Path("pictures/nothing").mkdir()
    hidden = Path("pictures/dark/.thumbnails")
    hidden.mkdir()
    Image.fromarray(made["dark"][0]).save(hidden / "0.png")
    data = load_data_set("pictures/")
    assert data.output_names == ("bright", "dark")
    assert len(data.train) + len(data.validation) + len(data.test) == 20
    assert "folders without pictures are no classes: nothing" in data.notes
