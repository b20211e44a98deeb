"""What data sets there are, by name; nothing here imports torch."""

from narrower.errors import canonical_name

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
    "toy-tiny": "four random numbers, 1x2x2; the class says whether their sum is above zero",
}

# Names that files written for other tools hold, and what there is instead.
ELSEWHERE: dict[str, str] = {
    "cifar10-subset": (
        "is a part of CIFAR-10 that its own project defines; dataset = 'cifar10' is the whole, and "
        "num_samples says on how many of its samples plans are scored"
    ),
    "wikitext2": "is text for language models, and only classification is searched here",
}


def data_set_name(name: str) -> str:
    """The listed spelling of a data set's name, or the reference ``package.module:name`` as it is.

    Raises:
        UnknownNameError: it is neither.
    """
    return name if ":" in name else canonical_name("data set", name, DATA_SETS, elsewhere=ELSEWHERE)
