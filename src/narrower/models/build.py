"""A model by its name: built in, or the user's own."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from narrower.data.sizes import USUAL_CLASSES, Sizes
from narrower.errors import CheckpointError, ModelError
from narrower.graph.own_copy import own_copy
from narrower.models import catalogue, image_models, jsc_models, mlperf_tiny, toy_models
from narrower.models.checkpoints import sizes_in
from narrower.models.exported_program import ENDING, exported_model
from narrower.models.huggingface import PREFIX, SCORES, huggingface_model, is_of_transformers, without_cache
from narrower.models.model_zoos import TIMM, TORCHVISION, zoo_model
from narrower.models.one_output import OneOutput, by_name
from narrower.models.onnx_file import onnx_model
from narrower.models.perceptrons import perceptron
from narrower.own_code.called import called
from narrower.own_code.imported import import_object

Build = Callable[[], nn.Module]
BuildForSizes = Callable[[Sizes], nn.Module]

IMAGES_32 = Sizes((3, 32, 32), USUAL_CLASSES)
OF_ONE_SIZE: dict[str, Build] = {
    "jsc-tiny": jsc_models.jsc_tiny,
    "jsc-toy": jsc_models.jsc_toy,
    "jsc-trt": jsc_models.jsc_trt,
    "jsc-s": jsc_models.jsc_s,
    "jsc-three-linear": jsc_models.jsc_three_linear,
    "jsc-three-linear-relu": jsc_models.jsc_three_linear_relu,
    "digits-mlp": image_models.digits_mlp,
    "digits-cnn": image_models.digits_cnn,
}
# With the sizes that they have where nothing else is said: a data set, or the file of their weights.
OF_ANY_SIZE: dict[str, tuple[BuildForSizes, Sizes]] = {
    "resnet20": (image_models.ResNet20, IMAGES_32),
    "vgg7": (image_models.VGG7, IMAGES_32),
    "toy": (toy_models.Toy, IMAGES_32),
    "toy-tiny": (toy_models.ToyTiny, IMAGES_32),
    "toy-segmenter": (toy_models.ToySegmenter, Sizes((1, 12, 12), 3)),
    "ds-cnn": (mlperf_tiny.DepthwiseSeparable, Sizes((1, 49, 10), 12)),
    "dense-autoencoder": (mlperf_tiny.DenseAutoencoder, Sizes((640,), 640)),
    "toy-words": (toy_models.ToyWords, Sizes((16,), 10)),
}
OF_IMAGES = ("resnet20", "vgg7", "toy-segmenter", "ds-cnn")


def build_model(name: str, *, seed: int = 0, sizes: Sizes | None = None) -> nn.Module:
    """Build a model of ``narrower models`` or of a folder, or call ``package.module:callable``.

    ``mlp:64-32-32`` has hidden layers of these widths; ``hf:folder`` is a model of transformers,
    ``timm:name`` and ``torchvision:name`` those of these packages, ``file.pt2`` is an exported program,
    ``file.onnx`` a model of ONNX; ``?output=key`` behind a name takes one of several outputs.

    The initial weights follow from the seed; torch's global random state is left as it was. ``sizes`` are
    those of the data, for models that come in any size; the others have the one that they have.

    Raises:
        UnknownNameError: no such model.
        ModelError: the user's callable cannot be imported, raises, or returns no ``nn.Module``.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name.startswith(catalogue.MLP):
            return perceptron(name, sizes)
        if ":" in name or name.partition("?")[0].endswith(catalogue.FILES):
            return _build_own(name, sizes)
        known = catalogue.model_name(name)
        if known in OF_ONE_SIZE:
            return OF_ONE_SIZE[known]()
        build, usual = OF_ANY_SIZE[known]
        takes = sizes is not None and (known not in OF_IMAGES or len(sizes.sample) == len(IMAGES_32.sample))
        return build(sizes if sizes is not None and takes else usual)


def model_of_file(path: Path, named: str | None, given: nn.Module | str | None) -> nn.Module:
    """The model whose tensors a file holds, with the sizes that the file says.

    ``given`` is what the caller says it is: a model, or a name. The name in the file, ``named``, counts only
    where it is one of the program's own: a file never decides what is imported.

    Raises:
        CheckpointError: nobody says which model it is.
        UnknownNameError: there is no model of that name.
        ModelError: the caller's own model cannot be imported or built.
    """
    if isinstance(given, nn.Module):
        return own_copy(given)
    if given is not None:
        return build_model(given, sizes=sizes_in(path))
    if named is None or catalogue.model_note(named) is None:
        what = "does not say of which model" if named is None else f"names the model {named!r}"
        raise CheckpointError(
            f"{path}: {what}. A file does not decide what is imported: name the model yourself, as "
            f"model={named or 'package.module:name'!r} or --model, or give the module"
        )
    return build_model(named, sizes=sizes_in(path))


def _build_own(name: str, sizes: Sizes | None) -> nn.Module:
    reference, _, key = name.partition(catalogue.OUTPUT)
    if reference.endswith(ENDING):
        model = exported_model(reference)
    elif reference.endswith(catalogue.ONNX):
        model = onnx_model(reference)
    elif reference.startswith((TIMM, TORCHVISION)):
        model = zoo_model(reference, sizes)
    elif reference.startswith(PREFIX):
        model = huggingface_model(reference.removeprefix(PREFIX))
    else:
        model = _own_model(reference)
    return as_called(model, sizes, key)


def as_called(model: nn.Module, sizes: Sizes | None, key: str = "") -> nn.Module:
    """A model as it is called with tensors in the order of the data; of transformers' its scores are taken.

    Raises:
        ModelError: it takes no argument of that name.
    """
    if key or (is_of_transformers(model) and not isinstance(model, OneOutput)):
        return OneOutput(without_cache(model), key or SCORES, sizes)
    return by_name(model, sizes)


def _own_model(reference: str) -> nn.Module:
    target = import_object(reference, ModelError)
    if isinstance(target, nn.Module):  # an instance: the module that holds it keeps its own
        return own_copy(target)
    if not callable(target):
        raise ModelError(
            f"model {reference!r} is neither an nn.Module nor callable, but {type(target).__name__}"
        )
    model = called(f"model {reference!r}", reference, target, ModelError)
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {reference!r} returned {type(model).__name__}, expected an nn.Module")
    return model
