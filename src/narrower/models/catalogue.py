"""What models there are, by name; nothing here imports torch."""

from dataclasses import dataclass
from pathlib import Path

from narrower.errors import canonical_name, spelled


@dataclass(frozen=True, slots=True)
class ModelNote:
    """What a list of models says of one."""

    description: str
    data_set: str  # a data set whose samples it takes


MLP = "mlp:"  # behind it stand the widths of the hidden layers
MLP_EXAMPLE = "mlp:64-32-32"
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
    "toy-segmenter": ModelNote("three convolutions: a class for each pixel of any picture", "toy-shapes"),
    "ds-cnn": ModelNote("MLPerf Tiny's keyword spotting: depthwise separable convolutions", "toy-keywords"),
    "dense-autoencoder": ModelNote("MLPerf Tiny's anomaly detection: 640 values by way of 8", "toy-machines"),
    "toy-words": ModelNote("an embedding and two layers: the next token of sequences", "toy-sequences"),
    "toy-tiny": ModelNote("one hidden layer of 2 for samples of any shape", "digits32"),
    MLP_EXAMPLE: ModelNote("hidden layers of any widths, with batch norm and ReLU, for any samples", "jets"),
}
NOT_OWN = (MLP, "hf:", "timm:", "torchvision:")  # beginnings of names that are no modules of the user's
ONNX = ".onnx"
FILES = (".pt2", ONNX)  # endings of files that are models
OUTPUT = "?output="  # behind the name of a model that gives several outputs
# What others call them.
OTHER_NAMES = {"jsc-three-linear-layers": "jsc-three-linear"}


def model_name(name: str) -> str:
    """The listed spelling of a model's name, or the reference ``package.module:name`` as it is.

    Raises:
        UnknownNameError: it is neither.
    """
    is_file = name.partition("?")[0].endswith(FILES)
    return name if ":" in name or is_file else canonical_name("model", name, MODELS, other_names=OTHER_NAMES)


def short_model_name(name: str) -> str:
    """What a directory may be called after a model."""
    plain = name.partition("?")[0]
    if plain.endswith(FILES):
        return Path(plain).stem
    if plain.startswith("hf:"):
        return Path(plain.removeprefix("hf:")).name
    return plain.replace(":", "-") if plain.startswith(MLP) else plain


def model_note(name: str) -> ModelNote | None:
    """What is listed of a model; None where it is the user's own, or unknown."""
    return MODELS.get(MLP_EXAMPLE if name.startswith(MLP) else spelled(name, OTHER_NAMES))
