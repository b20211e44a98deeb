"""Accuracy and loss of a module as it stands, and whether it runs on the data at all."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import DataSet, Part
from narrower.data.samples import check_data_set
from narrower.errors import DataError
from narrower.models.evaluation_mode import evaluation_mode
from narrower.own_code.failures import described


def score(model: nn.Module, part: Part, *, batch_size: int = 4096) -> dict[str, float]:
    """Accuracy and mean cross entropy of ``model`` in evaluation mode; the mode it had is restored."""
    correct, loss = 0, 0.0
    with evaluation_mode(model), torch.inference_mode():
        for inputs, targets in zip(
            torch.split(part.inputs, batch_size), torch.split(part.targets, batch_size), strict=True
        ):
            outputs = model(inputs.clone())  # it may write into its argument
            correct += int((outputs.argmax(dim=1) == targets).sum())
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
    return {"accuracy": correct / len(part), "loss": loss / len(part)}


def check_fit(model: nn.Module, data: DataSet) -> None:
    """Check the targets, and run two samples to see that model and data fit.

    Raises:
        DataError: the targets are no classes, or the model raises on the data or does not give one score
            for each class.
    """
    check_data_set(f"data set {data.name!r}", data)
    sample = data.validation.first(2)
    try:
        with evaluation_mode(model), torch.inference_mode():
            outputs = model(sample.inputs.clone())  # it may write into its argument
    except (Exception, SystemExit) as error:
        raise DataError(
            f"{type(model).__name__} does not run on data set {data.name!r} with samples of shape "
            f"{tuple(sample.inputs.shape[1:])}: {described(error)}{_kind_of_inputs(sample, error)}"
        ) from error
    needed = (len(sample), len(data.class_names))
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if (
        not isinstance(found, tuple)
        or len(found) != len(needed)
        or found[0] != needed[0]
        or found[1] < needed[1]
    ):
        raise DataError(
            f"{type(model).__name__} gives {found} for {len(sample)} samples; data set {data.name!r} needs "
            f"scores of shape {needed}, one for each class"
        )


def _kind_of_inputs(sample: Part, error: BaseException) -> str:
    """What was done with the inputs, where that may be why a model does not take them."""
    said = str(error).lower()
    if not sample.inputs.is_floating_point() and any(word in said for word in ("dtype", "long", "type")):
        return (
            f"; the inputs are whole numbers ({sample.inputs.dtype}) and stay what they are: where they are "
            "measurements, return them as floating-point numbers, which are standardised"
        )
    if sample.inputs.is_floating_point() and ("index" in said or "indices" in said):
        return "; the inputs are standardised: token ids stay what they are when returned as whole numbers"
    return ""
