"""Models of timm and torchvision by their names, without weights: nothing is downloaded."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from narrower.data.sizes import Sizes
from narrower.errors import MissingExtraError, ModelError, nearest

TIMM, TORCHVISION = "timm:", "torchvision:"
PICTURES = 3  # dimensions of a sample


def zoo_model(name: str, sizes: Sizes | None) -> nn.Module:
    """The model for as many classes, and of timm as many channels, as the data have.

    Raises:
        MissingExtraError: the package is not installed.
        ModelError: it has no such model, or that cannot be built so.
    """
    package, _, wanted = name.partition(":")
    try:
        if package == "timm":
            import timm  # type: ignore[import-not-found,unused-ignore]
        else:
            import torchvision  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise MissingExtraError(package, package, f"the model {name!r}") from None
    if package == "timm":
        _check(name, wanted, timm.list_models())
        channels = sizes.sample[0] if sizes is not None and len(sizes.sample) == PICTURES else 3
        given: dict[str, Any] = {"pretrained": False, "in_chans": channels}
        build = timm.create_model
    else:
        _check(name, wanted, torchvision.models.list_models())
        given, build = {"weights": None}, torchvision.models.get_model
    if sizes is not None:
        given["num_classes"] = sizes.classes
    try:
        model: nn.Module = build(wanted, **given)
    except Exception as error:
        raise ModelError(f"{name}: {str(error).splitlines()[0] if str(error) else error!r}") from error
    return model


def _check(name: str, wanted: str, known: Sequence[str]) -> None:
    if wanted not in known:
        raise ModelError(f"{name}: there is no such model{nearest(wanted, known)}")
