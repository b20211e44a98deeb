"""Pictures from a folder that has one folder for each class, read by Pillow."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.deep_pictures import in_eight_bits
from narrower.data.duplicates import repeated_note, without_repeated
from narrower.data.parting import Parted, parted
from narrower.data.parts import DataSet, Part
from narrower.data.pixels import looked_up, plain_levels, standardised_levels
from narrower.data.prepared import of_arguments
from narrower.data.request import DataRequest
from narrower.errors import AbsentDataError, DataError, MissingExtraError
from narrower.tasks.catalogue import TASKS

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
GREY = ("1", "L", "LA", "I", "I;16", "F")  # modes of Pillow without colour


def picture_data_set(request: DataRequest, seed: int) -> DataSet:
    """Pictures [N, channels, height, width] and the folders that they lie in, as classes.

    Raises:
        AbsentDataError: there is no such folder.
        DataError: it holds no classes of pictures, one cannot be read, or their sizes differ.
        MissingExtraError: Pillow is not installed.
    """
    root = Path(request.source).expanduser()
    if not root.is_dir():
        raise AbsentDataError(f"{root}: no such folder")
    given = _given_parts(root)
    classes = _classes([root] if given is None else list(given.values()))
    places = [root] if given is None else list(given.values())
    files, named = _files_and_classes(places, classes)
    targets = np.array([classes.index(name) for name in named], dtype=np.int64)
    pixels, deep = _read(files, request.size)
    rows, notes = _rows(request, targets, given, classes, seed)
    notes = [*_empty(places, classes), *deep, *notes]
    if request.duplicates == "drop":
        rows, said = without_repeated(pixels, rows)
        notes += said
    notes += repeated_note(pixels, rows)
    table, scaling = (
        (plain_levels(pixels), None) if request.standardise == "no" else standardised_levels(pixels, rows[0])
    )
    task = TASKS["classification"]
    parts = [
        Part(looked_up(pixels[part], table), torch.from_numpy(targets[part]), task=task) for part in rows
    ]
    return DataSet(
        request.text,
        parts[0],
        parts[1],
        parts[2],
        tuple(classes),
        notes=tuple(notes),
        prepared=of_arguments([scaling]),
    )


def _given_parts(root: Path) -> dict[str, Path] | None:
    """The folders of parts, where the folder has those instead of classes."""
    places = {place.name.lower(): place for place in root.iterdir() if place.is_dir()}
    found = {part: places[n] for part, names in PARTS.items() for n in names if n in places}
    return found if "train" in found and len(found) == len(places) > 1 else None


def _classes(places: list[Path]) -> list[str]:
    found = sorted(
        {each.name for place in places for each in place.iterdir() if each.is_dir() and _pictures(each)}
    )
    if not found:
        raise DataError(
            f"{places[0]}: expected a folder for each class with pictures in it "
            f"({', '.join(sorted(ENDINGS))})"
        )
    if len(found) == 1:
        raise DataError(f"{places[0]}: one class alone, {found[0]!r}; a classification needs two or more")
    return found


def _pictures(folder: Path) -> list[Path]:
    """All pictures below a folder, but for those in folders that a system hides or leaves behind."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in ENDINGS
        and not any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
    )


def _files_and_classes(places: list[Path], classes: list[str]) -> tuple[list[Path], list[str]]:
    found = [
        (file, name)
        for place in places
        for name in classes
        if (place / name).is_dir()
        for file in _pictures(place / name)
    ]
    return [file for file, _ in found], [name for _, name in found]


def _empty(places: list[Path], classes: list[str]) -> list[str]:
    """What is said of folders that would be classes, had they pictures."""
    others = {each.name for place in places for each in place.iterdir() if each.is_dir()} - set(classes)
    shown = sorted(name for name in others if not name.startswith((".", "__")))
    return [f"folders without pictures are no classes: {', '.join(shown)}"] if shown else []


def _rows(
    request: DataRequest, targets: NDArray[Any], given: dict[str, Path] | None, classes: list[str], seed: int
) -> tuple[Parted, list[str]]:
    if given is None:
        return parted(len(targets), seed, request.split, classes=targets), []
    if request.split:
        raise DataError(f"{request.source}: split: the folder has parts of its own, {', '.join(given)}")
    counts = [len(_files_and_classes([place], classes)[0]) for place in given.values()]
    ends = np.cumsum(counts)
    own = {part: np.arange(end - count, end) for part, count, end in zip(given, counts, ends, strict=True)}
    if len(own) == len(PARTS):
        return (own["train"], own["validation"], own["test"]), []
    # One of the two is there: the other is cut off the training part, class by class.
    train, first, second = parted(len(own["train"]), seed, (0.8, 0.1, 0.1), classes=targets[own["train"]])
    cut = np.concatenate([first, second])
    missing = "test" if "validation" in own else "validation"
    own |= {"train": own["train"][train], missing: own["train"][cut]}
    note = f"the folder has no {missing} part: a fifth of its training part is taken, {len(cut):,} pictures"
    return (own["train"], own["validation"], own["test"]), [note]


def _read(files: list[Path], size: tuple[float, ...]) -> tuple[NDArray[np.uint8], list[str]]:
    """All pictures, in colour unless all are grey, and what is said of them."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MissingExtraError("Pillow", "pictures", "reading pictures") from None
    pictures = []
    for file in files:
        try:
            with Image.open(file) as picture:
                picture.load()
                pictures.append(picture.copy())
        except (OSError, UnidentifiedImageError, ValueError) as error:
            raise DataError(f"{file}: not a whole picture: {error}") from error
    mode = "L" if all(picture.mode in GREY for picture in pictures) else "RGB"
    pictures, notes = in_eight_bits(files, pictures)
    if size:
        shape = (int(size[1]), int(size[0]))  # Pillow says the width first
        pictures = [picture.convert(mode).resize(shape, Image.Resampling.BILINEAR) for picture in pictures]
    sizes = Counter(picture.size for picture in pictures)
    if len(sizes) > 1:
        (usual, _), *_ = sizes.most_common()
        odd = next(file for file, picture in zip(files, pictures, strict=True) if picture.size != usual)
        raise DataError(
            f"{odd}: its size differs from most others' {usual[1]}x{usual[0]} (height x width); size = "
            f"[{usual[1]}, {usual[0]}] in settings, or ?size={usual[1]},{usual[0]} behind the folder's name, "
            "brings all to one"
        )
    arrays = [np.asarray(picture.convert(mode), dtype=np.uint8) for picture in pictures]
    stacked = np.stack(arrays)
    if mode == "L":
        return stacked[:, None], notes
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)), notes
