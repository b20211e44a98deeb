"""Which file or set holds samples, and what of it is what: one text that names it all, as a web address does.

``wine.csv?target=quality&group=cellar`` is the file with two wishes. Settings files have a key for each wish.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import quote, unquote

from narrower.errors import DataError, canonical_name

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".arff": "arff",
    ".parquet": "parquet",
    ".npz": "npz",
    ".npy": "npy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
}
SKLEARN = "sklearn:"
HF_DISK = "hf-disk:"
SHARE_TOLERANCE = 1e-6
CHOICES = {
    "missing": ("fill", "drop", "refuse"),
    "categories": ("one-hot", "codes"),
    "duplicates": ("keep", "drop"),
    "standardise": ("yes", "no"),
}
LISTS = ("target", "features")
NUMBERS = ("split", "size")
TOKENS = ("pad", "mask")
MAX_SAMPLES = "max_samples"
_SIGNS = re.compile(r"[%&=,?#+\[\]\x00-\x1f\x7f]")  # of the text itself, and none that a name may have


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A source of samples and what is wished of it; what is not said is chosen, and the choice is said."""

    source: str
    target: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    split: tuple[float, ...] = ()
    task: str | None = None
    loss: str | None = None
    missing: str | None = None
    categories: str | None = None
    duplicates: str | None = None
    standardise: str | None = None  # real inputs, and the targets of a regression, by the training part
    size: tuple[float, ...] = ()  # height and width of pictures
    normal: str | None = None  # the usual class, where odd samples are ranked
    pad: float | None = None  # the token that fills short sequences
    mask: float | None = None  # the token that hides others
    max_samples: float | None = None  # rows of a file that are taken at most

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise DataError(f"{name}: found {value!r}; allowed: {', '.join(allowed)}")
        if self.split and (
            len(self.split) != 3  # noqa: PLR2004 - training, validation, test
            or min(self.split) <= 0
            or abs(sum(self.split) - 1) > SHARE_TOLERANCE
        ):
            raise DataError(
                f"split: found {list(self.split)}; allowed: three shares above 0 that add up to 1, those of "
                f"training, validation and test, {_as_in('split', '0.8, 0.1, 0.1')}"
            )
        if self.size and (len(self.size) != 2 or any(not 1 <= s <= 4096 or s % 1 for s in self.size)):  # noqa: PLR2004
            raise DataError(
                f"size: found [{', '.join(map(_said, self.size))}]; allowed: height and width in pixels, "
                f"{_as_in('size', '32, 32')}"
            )
        for name in TOKENS:
            token = getattr(self, name)
            if token is not None and (token % 1 or token < 0):
                raise DataError(f"{name}: found {token:g}; allowed: the number of a token")
        if self.max_samples is not None and (self.max_samples % 1 or self.max_samples < 1):
            raise DataError(f"max_samples: found {self.max_samples:g}; allowed: a whole number from 1 up")
        if self.max_samples is not None and file_kind(self.source) not in ENDINGS.values():
            raise DataError(f"max_samples: {self.source} is no file of rows, such as CSV, Parquet or NPY")
        if self.group is not None and self.time is not None:
            raise DataError("group and time: a split goes by one of them; leave one out")

    @property
    def wishes(self) -> dict[str, object]:
        """What is said beside the source."""
        found = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {name: value for name, value in found.items() if value not in (None, ())}

    @property
    def text(self) -> str:
        """The one text, which ``data_request`` reads."""
        pairs = []
        for name, value in self.wishes.items():
            parts = value if isinstance(value, tuple) else (value,)
            pairs.append(f"{name}={','.join(_SIGNS.sub(_quoted, _said(part)) for part in parts)}")
        return self.source + ("?" + "&".join(pairs) if pairs else "")


def data_request(text: str, more: Mapping[str, object] | None = None) -> DataRequest:
    """Read a text such as ``wine.csv?target=quality``; ``more`` are wishes that were given beside it.

    Raises:
        DataError: a wish is none, or is given twice.
    """
    source, _, asked = text.partition("?")
    given: dict[str, object] = {}
    allowed = [field.name.replace("_", "-") for field in fields(DataRequest)[1:]]
    for pair in filter(None, asked.split("&")):
        key, _, value = pair.partition("=")
        name = canonical_name(f"key of data set {source!r}", key, allowed).replace("-", "_")
        if not value:
            raise DataError(f"data set {text!r}: {name} has no value; expected {name}=...")
        parts = tuple(unquote(part) for part in value.split(","))
        if name in (*TOKENS, MAX_SAMPLES):
            given[name] = _number(name, value)
        elif name in NUMBERS:
            given[name] = tuple(_number(name, part) for part in _inner(unquote(value)).split(","))
        else:
            given[name] = parts if name in LISTS else unquote(value)
    for name, said in (more or {}).items():
        if name in given and given[name] != said:
            raise DataError(f"{name}: found {said!r} beside data set {text!r}, which says {given[name]!r}")
        given[name] = said
    return DataRequest(source, **given)  # type: ignore[arg-type]


def file_kind(source: str) -> str | None:
    """What kind of file a source is: "csv", ..., "folder"; None where it is the name of a set."""
    if source.startswith(SKLEARN):
        return "sklearn"
    if source.startswith(HF_DISK):
        return "hf-disk"
    kind = ENDINGS.get(Path(source).suffix.lower())
    if kind is None and (source.endswith("/") or ("/" in source and Path(source).is_dir())):
        return "folder"
    return kind


def _as_in(name: str, numbers: str) -> str:
    """Both forms of a list of numbers: that of settings, and that of a data set's text."""
    return f"as in {name} = [{numbers}], or ?{name}={numbers.replace(' ', '')} behind a data set's name"


def _inner(text: str) -> str:
    """A list without its brackets, where it has them."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _quoted(sign: re.Match[str]) -> str:
    return quote(sign[0], safe="")


def _said(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{name}: found {text!r}, expected a number") from None
