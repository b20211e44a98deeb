"""CIFAR-10 and CIFAR-100 from the files of their binary archives, written here by their description."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from narrower.data.absent import KNOWN, stand_in
from narrower.data.datasets import load_data_set
from narrower.errors import AbsentDataError, DataError, UnknownNameError

TEN = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
HUNDRED = ["train.bin", "test.bin"]


def write(folder: Path, files: list[str], labels: int, classes: int, rows: int = 30) -> np.ndarray:
    """Records of ``labels`` bytes and 3,072 pixels: [files, rows, bytes]; the last label is the class."""
    chance = np.random.default_rng(len(files))
    records = chance.integers(0, 256, (len(files), rows, labels + 3072)).astype(np.uint8)
    records[..., 0] = chance.integers(0, 20, (len(files), rows))
    records[..., labels - 1] = chance.integers(0, classes, (len(files), rows))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(files, records, strict=True):
        (folder / name).write_bytes(content.tobytes())
    return records


@pytest.mark.parametrize(
    ("name", "files", "labels", "classes", "folder"),
    [
        ("cifar10", TEN, 1, 10, "cifar-10-batches-bin"),
        ("CIFAR100", HUNDRED, 2, 100, "cifar-100-binary"),
    ],
)
def test_records_become_standardised_images_with_the_archives_own_test_part(
    name: str, files: list[str], labels: int, classes: int, folder: str
) -> None:
    records = write(Path("there") / folder, files, labels, classes)
    data = load_data_set(name, path=Path("there") / folder)
    assert len(data.output_names) == classes
    trained = records[:-1].reshape(-1, labels + 3072)
    assert (len(data.train), len(data.validation)) == (0.8 * len(trained), 0.2 * len(trained))
    np.testing.assert_array_equal(data.test.targets, records[-1][:, labels - 1])
    raw = trained[:, labels:].reshape(-1, 3, 32, 32).astype(np.float64)
    red = data.train.inputs[:, 0].double()
    assert float(red.mean()) == pytest.approx(0, abs=1e-6)
    assert float(red.std(correction=0)) == pytest.approx(1, abs=1e-6)
    # A straight line from levels to values, one for each channel.
    own = records[-1][:, labels:].reshape(-1, 3, 32, 32).astype(np.float64)
    for channel in range(3):
        values = data.test.inputs[:, channel].double().numpy()
        slope = (values[0, 0, 0] - values[0, 0, 1]) / (own[0, channel, 0, 0] - own[0, channel, 0, 1])
        assert 1 / slope == pytest.approx(raw[:, channel].std(), rel=0.02)
        np.testing.assert_allclose(
            values, values[0, 0, 0] + slope * (own[:, channel] - own[0, channel, 0, 0]), atol=1e-4
        )
    # The same from the folder that holds the archive's, and without a path from ./data.
    assert load_data_set(name, path=Path("there")).content_hash == data.content_hash
    Path("there").rename("data")
    assert load_data_set(name).content_hash == data.content_hash
    assert load_data_set(name, seed=1).content_hash != data.content_hash


def test_what_is_not_there_is_named_with_the_binary_archive() -> None:
    with pytest.raises(
        AbsentDataError, match=re.escape("looked for data_batch_1.bin in data/ and data/cifar-10")
    ):
        load_data_set("cifar10")
    with pytest.raises(AbsentDataError, match=r"cifar-100-binary\.tar\.gz"):
        load_data_set("cifar100", path=Path("nowhere"))
    write(Path("some"), TEN[:3], 1, 10)
    with pytest.raises(
        AbsentDataError, match=re.escape("data_batch_4.bin, data_batch_5.bin, test_batch.bin of")
    ):
        load_data_set("cifar10", path=Path("some"))
    Path("cifar.tar.gz").write_bytes(b"x")
    with pytest.raises(
        AbsentDataError, match=re.escape("cifar.tar.gz: a file; 'cifar10' is read from a folder")
    ):
        load_data_set("cifar10", path=Path("cifar.tar.gz"))


@pytest.mark.parametrize("pickled", ["data_batch_1", "cifar-10-batches-py/data_batch_1", "batches.meta"])
def test_a_pickle_is_never_read_and_the_message_names_the_binary_archive(pickled: str) -> None:
    path = Path("python") / pickled
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(DataError, match=r"pickles .* never read; .*cifar-10-binary\.tar\.gz"):
        load_data_set("cifar10", path=Path("python"))
    assert not Path("ran").exists()


def test_damaged_files_are_refused() -> None:
    write(Path("a"), HUNDRED, 2, 100)
    (Path("a") / "train.bin").write_bytes(bytes(3073))
    with pytest.raises(DataError, match="3,073 bytes are not whole records of 3,074 bytes"):
        load_data_set("cifar100", path=Path("a"))
    (Path("a") / "train.bin").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        load_data_set("cifar100", path=Path("a"))
    (Path("a") / "train.bin").write_bytes(bytes([0, 100]) + bytes(3072))
    with pytest.raises(DataError, match="class 100 of 100"):
        load_data_set("cifar100", path=Path("a"))


def test_names_of_other_tools_say_what_there_is_instead() -> None:
    with pytest.raises(UnknownNameError, match="dataset = 'cifar10' is the whole"):
        load_data_set("cifar10_subset")
    with pytest.raises(UnknownNameError, match="only classification"):
        load_data_set("wikitext2")
    with pytest.raises(DataError, match="goes with the data sets jsc, cifar10, cifar100, not 'jets'"):
        load_data_set("jets", path=Path("x"))


def test_toy_tiny_is_four_numbers_and_the_sign_of_their_sum() -> None:
    data = load_data_set("toy_tiny")
    for part in data.parts.values():
        assert part.inputs.shape == (10_240, 1, 2, 2)
        assert torch.equal(part.targets, (part.inputs.double().sum(dim=(1, 2, 3)) > 0).long())
        assert float(part.inputs.min()) >= -1
        assert float(part.inputs.max()) <= 1
    # The first number of NumPy's stream of seed 0 is 0.5488135, scaled to -1 ... 1.
    assert float(data.train.inputs[0, 0, 0, 0]) == pytest.approx(2 * 0.5488135 - 1, abs=1e-6)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_stands_in_for_absent_data_has_their_shape_and_takes_no_memory(name: str) -> None:
    data = stand_in(name)
    for part in data.parts.values():
        assert part.inputs.shape == (len(part.targets), *KNOWN[name].shape)
        assert part.inputs.untyped_storage().nbytes() < 20_000
    assert sum(map(len, data.parts.values())) == {"jsc": 830_000}.get(name, 60_000)
    assert int(data.train.targets.max()) + 1 == len(data.output_names)
