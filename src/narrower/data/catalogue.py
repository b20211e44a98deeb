"""What data sets there are, by name; nothing here imports torch."""

from dataclasses import replace
from pathlib import Path

from narrower.data.request import ENDINGS, DataRequest, data_request, file_kind
from narrower.errors import PYTHON, DataError, UnknownNameError, canonical_name, spelled, unknown_name
from narrower.tasks.catalogue import TASKS, is_own_task

# Those whose samples are read from a file, or a folder of files, of the user's.
FROM_FILES = ("jsc", "cifar10", "cifar100")

DATA_SETS: dict[str, str] = {
    "jets": "five kinds of jets from simulated LHC collisions, 16 features; ships with the package",
    "jsc": "the public table of 830,000 LHC jets (OpenML 42468), downloaded once or read from --data-path",
    "cifar10": "60,000 colour photographs of ten classes, 3x32x32, from the binary archive in --data-path",
    "cifar100": "the same of a hundred classes, from the binary archive in --data-path",
    "digits": "scikit-learn's 1,797 handwritten digits, 1x8x8",
    "digits32": "the same digits scaled to 3x32x32",
    "diabetes": "scikit-learn's 442 patients, 10 measurements; a regression: how far it went in a year",
    "toy-labels": "eight random numbers and three labels of them, generated",
    "toy-shapes": "pictures 1x12x12 of discs and squares in noise; each pixel has a class, generated",
    "toy-keywords": "spectra 1x49x10 of tones that move in twelve ways, in noise, generated",
    "toy-machines": "five spectra of 128 bands of humming machines, of which some are odd, generated",
    "toy-sequences": "sequences of ten tokens, of which the next is to be foretold, generated",
    "toy-tiny": "four random numbers, 1x2x2; the class says whether their sum is above zero",
}

OF_ANY = ("task", "loss", "normal", "pad", "mask")  # wishes that mean something for every data set

OF_GIVEN = ("target", "standardise")  # of those that functions of the user's give

# Names that files written for other tools hold, and what there is instead.
ELSEWHERE: dict[str, str] = {
    "cifar10-subset": (
        "is a part of CIFAR-10 that its own project defines; dataset = 'cifar10' is the whole, and "
        "num_samples says on how many of its samples plans are scored"
    ),
    "wikitext2": "is text for language models, and only classification is searched here",
}


SHAPES = (
    "FILE.csv, .tsv, .arff, .parquet, .npz, .npy, .h5, FOLDER/ of class folders, sklearn:NAME, hf-disk:FOLDER"
)


def data_set_name(name: str) -> str:
    """The listed spelling of a data set's name; a file or ``package.module:name`` as it is.

    Raises:
        UnknownNameError: it is none of these.
        DataError: what is wished of a file is nothing that there is.
    """
    return named_request(name).text


def named_request(text: str) -> DataRequest:
    """What a data set's name asks for.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: what is wished of it is nothing that there is, or means nothing for it.
    """
    request = data_request(text)
    source = request.source
    if request.task is not None and not is_own_task(request.task) and request.task not in TASKS:
        raise unknown_name("task", request.task, (*TASKS, "package.module:name"))
    if file_kind(source) == "hf-disk":
        meaningless = [wish for wish in request.wishes if wish not in (*OF_ANY, *OF_GIVEN, "features")]
        if meaningless:
            raise DataError(f"{meaningless[0]}: means nothing for {source!r}, which has parts of its own")
        return request
    if file_kind(source) is not None:
        return request
    if ":" not in source:
        refuse_unread_path(source)
        known = canonical_name("data set", source, DATA_SETS, elsewhere=ELSEWHERE)
        request = replace(request, source=known)
    known_wishes = (*OF_ANY, *OF_GIVEN) if ":" in source else OF_ANY
    meaningless = [wish for wish in request.wishes if wish not in known_wishes]
    if meaningless:
        raise DataError(f"{meaningless[0]}: goes with a file ({SHAPES}), not with the data set {source!r}")
    return request


def refuse_unread_path(source: str) -> None:
    """Say how a folder or file is written whose name is taken for that of a data set.

    Raises:
        UnknownNameError: it is a folder without a slash behind it, or a file with another ending.
    """
    path = Path(source).expanduser()
    if spelled(source) in DATA_SETS or spelled(source) in ELSEWHERE or source.endswith(PYTHON):
        return
    if path.is_dir():
        raise UnknownNameError(
            f"unknown data set {source!r}: a folder of pictures is written with a slash behind it, "
            f"{source + '/'!r}"
        )
    if path.is_file() or path.suffix or "/" in source:
        there = "" if path.exists() else "; there is no such file or folder either"
        raise UnknownNameError(
            f"unknown data set {source!r}: files are read whose names end in {', '.join(ENDINGS)}, and "
            f"folders of pictures, written with a slash behind them{there}"
        )


def wished(name: str, target: str | None) -> str:
    """A data set's name with the target that an option names.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: it has another target already.
    """
    more = {} if target is None else {"target": tuple(target.split(","))}
    return named_request(data_request(name, more).text).text


def is_own(name: str) -> bool:
    """Whether a data set is a function of the user's own."""
    source = data_request(name).source
    return ":" in source and file_kind(source) is None


def short_name(name: str) -> str:
    """What a directory may be called after a data set."""
    source = data_request(name).source
    if file_kind(source) is None:
        return source
    return Path(source.rpartition(":")[2]).stem or "data"
