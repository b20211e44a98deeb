"""What models and data sets there are, by name; nothing here imports torch."""

from narrower.errors import unknown_name

MODELS: dict[str, str] = {
    "jsc-tiny": "jet tagger 16-5: batch norm, ReLU, linear, ReLU",
    "jsc-toy": "jet tagger 16-8-8-5 with batch norm and ReLU",
    "jsc-trt": "jet tagger 16-32-48-16-5 with batch norm, ReLU and dropout",
    "jsc-s": "jet tagger 16-64-32-32-32-5 with batch norm and ReLU",
    "jsc-three-linear": "jet tagger 16-16-16-5, ReLU at the end only",
    "jsc-three-linear-relu": "jet tagger 16-16-16-5, ReLU after each layer",
    "digits-mlp": "64-32-32-10 for 8x8 digits",
    "digits-cnn": "two convolutions for 8x8 digits",
    "resnet20": "residual net for 32x32 colour images, 0.27 million parameters",
    "vgg7": "plain convolutional net for 32x32 colour images, 0.55 million parameters",
}

DATA_SETS: dict[str, str] = {
    "jets": "five kinds of jets from simulated LHC collisions, 16 features; ships with the package",
    "jsc": "the public table of 830,000 LHC jets (OpenML 42468), downloaded once or read from --data-path",
    "digits": "scikit-learn's 1,797 handwritten digits, 1x8x8",
    "digits32": "the same digits scaled to 3x32x32",
}


def canonical_name(what: str, name: str, known: dict[str, str]) -> str:
    """The listed spelling of a name; underscores and hyphens are the same.

    Raises:
        UnknownNameError: the name is not listed.
    """
    spelled = name.lower().replace("_", "-")
    if spelled not in known:
        raise unknown_name(what, name, [*known, "package.module:name"])
    return spelled
