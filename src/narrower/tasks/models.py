"""A model by its name: built in, or the user's own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from narrower.errors import ModelError
from narrower.tasks import catalogue, image_models, jsc_models
from narrower.tasks.imported import import_object
from narrower.tasks.own_code import own_code


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A built-in model."""

    build: Callable[[], nn.Module]
    description: str
    data_set: str  # a data set whose samples it takes


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "jsc-tiny": jsc_models.jsc_tiny,
    "jsc-toy": jsc_models.jsc_toy,
    "jsc-trt": jsc_models.jsc_trt,
    "jsc-s": jsc_models.jsc_s,
    "jsc-three-linear": jsc_models.jsc_three_linear,
    "jsc-three-linear-relu": jsc_models.jsc_three_linear_relu,
    "digits-mlp": image_models.digits_mlp,
    "digits-cnn": image_models.digits_cnn,
    "resnet20": image_models.ResNet20,
    "vgg7": image_models.vgg7,
}

MODELS: dict[str, ModelEntry] = {
    name: ModelEntry(BUILDERS[name], note.description, note.data_set)
    for name, note in catalogue.MODELS.items()
}


def build_model(name: str, *, seed: int = 0) -> nn.Module:
    """Build a model of ``narrower models``, or call ``package.module:callable`` without arguments.

    The initial weights follow from the seed; torch's global random state is left as it was.

    Raises:
        UnknownNameError: no such model.
        ModelError: the user's callable cannot be imported, raises, or returns no ``nn.Module``.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if ":" in name:
            return _build_own(name)
        return MODELS[catalogue.canonical_name("model", name, MODELS)].build()


def _build_own(reference: str) -> nn.Module:
    target = import_object(reference, ModelError)
    if isinstance(target, nn.Module):  # an instance: the module that holds it keeps its own
        return copy.deepcopy(target)
    if not callable(target):
        raise ModelError(
            f"model {reference!r} is neither an nn.Module nor callable, but {type(target).__name__}"
        )
    with own_code(f"model {reference!r}: calling it", ModelError):
        model = target()
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {reference!r} returned {type(model).__name__}, expected an nn.Module")
    return model
