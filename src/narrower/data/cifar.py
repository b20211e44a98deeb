"""CIFAR-10 and CIFAR-100 from a folder with the files of their binary archives; a pickle is never read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrower.errors import AbsentDataError, DataError

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
Pixels = NDArray[np.uint8]
CLASSES_OF_TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES_OF_A_HUNDRED = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Images:
    """Images [N, channels, height, width] of 256 levels and their classes, with a test part of their own."""

    pixels: Pixels
    targets: NDArray[np.int64]
    test_pixels: Pixels
    test_targets: NDArray[np.int64]
    output_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of one archive. A record is ``labels`` bytes, the last of them the class, and an image."""

    folder: str  # as the archive names it
    address: str
    train: tuple[str, ...]
    test: str
    labels: int
    output_names: tuple[str, ...]
    pickled: tuple[str, ...]  # files of the archive for Python, which are not read


CIFAR10 = Archive(
    folder="cifar-10-batches-bin",
    address="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    labels=1,
    output_names=CLASSES_OF_TEN,
    pickled=("data_batch_1", "test_batch", "batches.meta", "cifar-10-batches-py", "cifar-10-python.tar.gz"),
)
CIFAR100 = Archive(
    folder="cifar-100-binary",
    address="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    train=("train.bin",),
    test="test.bin",
    labels=2,  # the coarse class of twenty, then the fine one
    output_names=CLASSES_OF_A_HUNDRED,
    pickled=("train", "test", "meta", "cifar-100-python", "cifar-100-python.tar.gz"),
)


def cifar10(path: Path | None = None) -> Images:
    """The ten classes; ``path`` is the folder of the files, or one that holds the archive's folder.

    Raises:
        AbsentDataError: the files are not there.
        DataError: a file is damaged.
    """
    return _read("cifar10", CIFAR10, path)


def cifar100(path: Path | None = None) -> Images:
    """The hundred fine classes; ``path`` as for CIFAR-10.

    Raises:
        AbsentDataError: the files are not there.
        DataError: a file is damaged.
    """
    return _read("cifar100", CIFAR100, path)


def _read(name: str, archive: Archive, path: Path | None) -> Images:
    folder = _folder(name, archive, path or Path("data"))
    parts = [_records(folder / file, archive) for file in archive.train]
    test_pixels, test_targets = _records(folder / archive.test, archive)
    return Images(
        np.concatenate([pixels for pixels, _ in parts]),
        np.concatenate([targets for _, targets in parts]),
        test_pixels,
        test_targets,
        archive.output_names,
    )


def _folder(name: str, archive: Archive, given: Path) -> Path:
    way_out = f"download {archive.address} and unpack it; --data-path or data_path names the folder"
    files = (*archive.train, archive.test)
    places = (given, given / archive.folder)
    found = next((place for place in places if any((place / file).is_file() for file in files)), None)
    if found is not None:
        missing = [file for file in files if not (found / file).is_file()]
        if missing:
            raise AbsentDataError(f"{found}: {', '.join(missing)} of {name!r} not there; {way_out}")
        return found
    if given.is_file():
        raise AbsentDataError(f"{given}: a file; {name!r} is read from a folder: {way_out}")
    if any((place / file).exists() for place in places for file in archive.pickled):
        raise AbsentDataError(
            f"{given}: holds the archive for Python, whose pickles could run any code and are never read; "
            f"the binary archive has the same images: {way_out}"
        )
    raise AbsentDataError(
        f"the data set {name!r} is not here: looked for {files[0]} in {places[0]}/ and {places[1]}/; "
        f"{way_out}"
    )


def _records(path: Path, archive: Archive) -> tuple[Pixels, NDArray[np.int64]]:
    length = archive.labels + PIXELS
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) == 0 or len(content) % length:
        raise DataError(
            f"{path}: damaged: {len(content):,} bytes are not whole records of {length:,} bytes; whole files "
            f"are in {archive.address}"
        )
    records = content.reshape(-1, length)
    targets = records[:, archive.labels - 1].astype(np.int64)
    if targets.max() >= len(archive.output_names):
        raise DataError(f"{path}: damaged: class {targets.max()} of {len(archive.output_names)}")
    return records[:, archive.labels :].reshape(-1, *SHAPE), targets
