"""Check that a model runs on the data and gives outputs that suit their targets."""

import torch
from torch import Tensor, nn

from narrower.data.arguments import copies
from narrower.data.parts import EXAMPLES, DataSet, Part
from narrower.data.samples import check_data_set
from narrower.errors import DataError, ModelError, starting
from narrower.graph.called_modules import trace_or_call
from narrower.graph.network import PRODUCT_KINDS
from narrower.models.evaluation_mode import evaluation_mode
from narrower.models.one_output import described_outputs
from narrower.own_code.failures import described
from narrower.tasks.probabilities import ProbabilitiesError

TRIED_SAMPLES = 64


def check_fit(model: nn.Module, data: DataSet) -> None:
    """Check the targets, and run two samples to see that model and data fit.

    Raises:
        DataError: the targets are not those of their task, or the model raises on the data, or what it gives
            does not fit the targets.
    """
    check_data_set(f"data set {data.name!r}", data)
    sample = data.validation.first(2)
    try:
        with evaluation_mode(model), torch.inference_mode():
            outputs = model(*copies(sample.arguments))
    except (Exception, SystemExit) as error:
        shapes = ", ".join(str(tuple(argument.shape[1:])) for argument in sample.arguments)
        raise DataError(
            f"{type(model).__name__} does not run on data set {data.name!r} with samples of shape "
            f"{shapes}: {described(error)}{_kind_of_inputs(sample, error)}"
        ) from error
    with starting(f"{type(model).__name__} does not fit data set {data.name!r}"):
        if not isinstance(outputs, Tensor):
            raise DataError(
                f"{described_outputs(outputs)}, expected one tensor; '?output=...' behind the model's name, "
                "as in 'mine:net?output=logits', takes one of several"
            )
        try:
            data.task.check(sample.targets.numpy(), data.output_names, outputs=outputs)
        except ProbabilitiesError:
            if not _gives_logits(model, data.validation.first(TRIED_SAMPLES)):
                raise


def _gives_logits(model: nn.Module, samples: Part) -> bool:
    """Whether outputs of more samples leave 0 to 1, or come from a product: two may lie there by chance."""
    with evaluation_mode(model), torch.inference_mode():
        outputs = model(*copies(samples.arguments))
    if bool(((outputs < 0) | (outputs > 1)).any()):
        return True
    try:
        network = trace_or_call(model, samples.first(EXAMPLES).arguments).network
    except ModelError:
        return False
    last = network.operator_by_name.get(network.outputs[0]) if network.outputs else None
    return last is not None and last.kind in PRODUCT_KINDS


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
