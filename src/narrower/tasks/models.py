"""A model by its name: built in, or the user's own."""

from collections.abc import Callable

import torch
from torch import nn

from narrower.errors import ModelError
from narrower.tasks import image_models, jsc_models
from narrower.tasks.catalogue import MODELS, canonical_name
from narrower.tasks.imported import import_object

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


def build_model(name: str, *, seed: int = 0) -> nn.Module:
    """Build a model of ``narrower models``, or call ``package.module:callable`` without arguments.

    The initial weights follow from the seed; torch's global random state is left as it was.

    Raises:
        UnknownNameError: no such model.
        ModelError: the user's callable cannot be imported, raises, or returns no ``nn.Module``.
    """
    builder = _own_builder(name) if ":" in name else BUILDERS[canonical_name("model", name, MODELS)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return builder()


def _own_builder(reference: str) -> Callable[[], nn.Module]:
    target = import_object(reference, ModelError)

    def build() -> nn.Module:
        if isinstance(target, nn.Module):
            return target
        if not callable(target):
            raise ModelError(
                f"model {reference!r} is neither an nn.Module nor callable, but {type(target).__name__}"
            )
        try:
            model = target()
        except Exception as error:
            raise ModelError(
                f"model {reference!r}: calling it failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise ModelError(f"model {reference!r} returned {type(model).__name__}, expected an nn.Module")
        return model

    return build
