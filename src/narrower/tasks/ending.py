"""What a classifier gives, and so what its loss is: scores, probabilities or logarithms of them."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import ModelError
from narrower.graph.called_modules import trace_or_call
from narrower.graph.ending import last_function
from narrower.graph.network import Network
from narrower.models.evaluation_mode import evaluation_mode
from narrower.quality import CROSS_ENTROPY

Kind = Literal["scores", "softmax", "log_softmax", "sigmoid", "softmax over samples"]

LOSSES: dict[Kind, str] = {
    "scores": CROSS_ENTROPY,
    "log_softmax": "negative log likelihood",
    "softmax": "cross entropy of softmax applied twice",
    "sigmoid": "cross entropy of softmax after sigmoid",
    "softmax over samples": "cross entropy of softmax after a softmax over samples",
}
TRIED_SAMPLES = 64
TOLERANCE = 1e-4  # of the sum of probabilities in float32


@dataclass(frozen=True, slots=True)
class Ending:
    """What a model ends in, and where: a layer, and a line of the user's where it is known."""

    kind: Kind = "scores"
    where: str = ""

    @property
    def loss(self) -> str:
        """The loss that is trained and shown, by its name."""
        return LOSSES[self.kind]

    def warnings(self, model_name: str) -> list[str]:
        """What is wrong with this ending, and what to change; at most one sentence."""
        if self.kind in ("scores", "log_softmax"):
            return []
        said = (
            f"{model_name} ends in {self.kind}{self.where}, and the loss takes softmax of its outputs: it is "
            f"the {self.loss}, trains worse and stays far from 0"
        )
        if self.kind == "softmax over samples":
            return [f"{said}; outputs depend on the other samples of a batch: return the scores before it"]
        return [f"{said}; return the scores before it, or log_softmax (accuracy is the same)"]


def ending_of(model: nn.Module, inputs: Tensor, network: Network | None = None) -> Ending:
    """What a model ends in; where its graph does not show it, what outputs for ``inputs`` tell.

    ``network`` is the picture of the model, where it was traced already.
    """
    outputs = _outputs(model, inputs)
    if network is None and _are_scores(outputs):
        return Ending()
    if network is None:
        with suppress(ModelError):  # it can be trained and scored all the same
            network = trace_or_call(model, inputs[:3]).network
    found = None if network is None else last_function(network)
    # Where the model was only called, more may come behind its last module.
    if found is not None and (found[1].inputs or _may_be(outputs, found[0])):
        kind, operator = found
        places = [f"layer {operator.layer!r}" if operator.layer else "", operator.source or ""]
        where = ", ".join(place for place in places if place)
        return Ending(kind, f" ({where})" if where else "")  # type: ignore[arg-type]
    return Ending(_kind_of(outputs))


def ends_in_log_softmax(model: nn.Module, inputs: Tensor) -> bool:
    """Whether the outputs are logarithms of probabilities that sum to one."""
    return _kind_of(_outputs(model, inputs)) == "log_softmax"


def loss_of_outputs(outputs: Tensor, targets: Tensor, *, are_log_probabilities: bool) -> Tensor:
    """The mean loss of a batch."""
    return F.nll_loss(outputs, targets) if are_log_probabilities else F.cross_entropy(outputs, targets)


def _outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    with evaluation_mode(model), torch.inference_mode():
        outputs: Tensor = model(inputs[:TRIED_SAMPLES].clone()).double()
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


def _kind_of(outputs: Tensor) -> Kind:
    if outputs.dim() != 2 or outputs.shape[1] < 2 or not torch.isfinite(outputs).all():  # noqa: PLR2004
        return "scores"
    if bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all()):
        return "softmax"
    if bool((outputs <= TOLERANCE).all()) and bool((outputs.logsumexp(dim=1).abs() < TOLERANCE).all()):
        return "log_softmax"
    return "scores"
