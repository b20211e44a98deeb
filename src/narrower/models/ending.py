"""What a model ends in, and so what its outputs are: scores, probabilities or logarithms of them."""

from contextlib import suppress

import torch
from torch import Tensor, nn

from narrower.data.arguments import Arguments, each_argument
from narrower.data.parts import EXAMPLES
from narrower.errors import ModelError
from narrower.graph.called_modules import trace_or_call
from narrower.graph.ending import last_function
from narrower.graph.network import Network
from narrower.models.evaluation_mode import evaluation_mode
from narrower.tasks.task import Ending

TRIED_SAMPLES = 64
TOLERANCE = 1e-4  # of the sum of probabilities in float32


def ending_of(model: nn.Module, inputs: Arguments, network: Network | None = None) -> Ending:
    """What a model ends in; where its graph does not show it, what outputs for ``inputs`` tell.

    ``network`` is the picture of the model, where it was traced already.
    """
    outputs = _outputs(model, inputs)
    if network is None and _are_scores(outputs):
        return Ending()
    if network is None:
        with suppress(ModelError):  # it can be trained and scored all the same
            network = trace_or_call(model, [each[:EXAMPLES] for each in each_argument(inputs)]).network
    found = None if network is None else last_function(network)
    # Where the model was only called, more may come behind its last module.
    if found is not None and (found[1].inputs or _may_be(outputs, found[0])):
        kind, operator = found
        places = [f"layer {operator.layer!r}" if operator.layer else "", operator.source or ""]
        where = ", ".join(place for place in places if place)
        return Ending(kind, f" ({where})" if where else "")
    return Ending(_kind_of(outputs))


def ending_of_outputs(model: nn.Module, inputs: Arguments) -> Ending:
    """What outputs for ``inputs`` tell of what a model ends in, without its graph."""
    return Ending(_kind_of(_outputs(model, inputs)))


def _outputs(model: nn.Module, inputs: Arguments) -> Tensor:
    with evaluation_mode(model), torch.inference_mode():
        outputs: Tensor = model(*(each[:TRIED_SAMPLES].clone() for each in each_argument(inputs))).double()
    return outputs


def _are_scores(outputs: Tensor) -> bool:
    """Whether some are above 1, or some above 0 and some below: the model need not be traced to know."""
    above, below = bool((outputs > TOLERANCE).any()), bool((outputs < 0).any())
    return bool(torch.isfinite(outputs).all()) and (
        bool((outputs > 1 + TOLERANCE).any()) or (above and below)
    )


def _may_be(outputs: Tensor, kind: str) -> bool:
    if kind == "sigmoid":
        return bool(((outputs >= 0) & (outputs <= 1)).all())
    return _kind_of(outputs) == kind


def _kind_of(outputs: Tensor) -> str:
    if outputs.dim() != 2 or outputs.shape[1] < 2 or not torch.isfinite(outputs).all():  # noqa: PLR2004
        return "scores"
    if bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all()):
        return "softmax"
    if bool((outputs <= TOLERANCE).all()) and bool((outputs.logsumexp(dim=1).abs() < TOLERANCE).all()):
        return "log_softmax"
    return "scores"
