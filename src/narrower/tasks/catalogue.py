"""What models and data sets there are, by name; nothing here imports torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from narrower.errors import UnknownNameError, unknown_name


@dataclass(frozen=True, slots=True)
class ModelNote:
    """What a list of models says of one."""

    description: str
    data_set: str  # a data set whose samples it takes


MODELS: dict[str, ModelNote] = {
    "jsc-tiny": ModelNote("jet tagger 16-5: batch norm, ReLU, linear, ReLU", "jets"),
    "jsc-toy": ModelNote("jet tagger 16-8-8-5 with batch norm and ReLU", "jets"),
    "jsc-trt": ModelNote("jet tagger 16-32-48-16-5 with batch norm, ReLU and dropout", "jets"),
    "jsc-s": ModelNote("jet tagger 16-64-32-32-32-5 with batch norm and ReLU", "jets"),
    "jsc-three-linear": ModelNote("jet tagger 16-16-16-5, ReLU first and last only", "jets"),
    "jsc-three-linear-relu": ModelNote("jet tagger 16-16-16-5, ReLU after each layer", "jets"),
    "digits-mlp": ModelNote("64-32-32-10 for 8x8 digits", "digits"),
    "digits-cnn": ModelNote("two convolutions and a linear layer for 8x8 digits", "digits"),
    "resnet20": ModelNote("residual net for images, 0.27 million parameters", "digits32"),
    "vgg7": ModelNote("plain convolutional net for images, 14 million parameters at 3x32x32", "digits32"),
    "toy": ModelNote("two hidden layers of 8 for samples of any shape", "digits32"),
    "toy-tiny": ModelNote("one hidden layer of 2 for samples of any shape", "digits32"),
}
# What others call them.
OTHER_NAMES = {"jsc-three-linear-layers": "jsc-three-linear"}

# Those whose samples are read from a file, or a folder of files, of the user's.
FROM_FILES = ("jsc", "cifar10", "cifar100")

DATA_SETS: dict[str, str] = {
    "jets": "five kinds of jets from simulated LHC collisions, 16 features; ships with the package",
    "jsc": "the public table of 830,000 LHC jets (OpenML 42468), downloaded once or read from --data-path",
    "cifar10": "60,000 colour photographs of ten classes, 3x32x32, from the binary archive in --data-path",
    "cifar100": "the same of a hundred classes, from the binary archive in --data-path",
    "digits": "scikit-learn's 1,797 handwritten digits, 1x8x8",
    "digits32": "the same digits scaled to 3x32x32",
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


def model_name(name: str) -> str:
    """The listed spelling of a model's name, or the reference ``package.module:name`` as it is.

    Raises:
        UnknownNameError: it is neither.
    """
    return name if ":" in name else canonical_name("model", name, MODELS)


def model_note(name: str) -> ModelNote | None:
    """What is listed of a model; None where it is the user's own, or unknown."""
    return MODELS.get(_spelled(name))


def _spelled(name: str) -> str:
    spelled = name.lower().replace("_", "-")
    return OTHER_NAMES.get(spelled, spelled)


def canonical_name(what: str, name: str, known: Iterable[str]) -> str:
    """The listed spelling of a name; underscores and hyphens are the same, and so are capitals.

    Raises:
        UnknownNameError: the name is not listed.
    """
    names = list(known)
    spelled = _spelled(name)
    if spelled not in names and spelled in ELSEWHERE and what == "data set":
        raise UnknownNameError(f"data set {name!r} {ELSEWHERE[spelled]}; allowed: {', '.join(names)}")
    if spelled not in names:
        raise unknown_name(what, name, [*names, "package.module:name"])
    return spelled
