"""What is changed in a network for the formats of one plan, on a few training samples and without targets."""

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from narrower.evaluate.bias_correction import with_corrected_biases
from narrower.evaluate.learned_rounding import with_learned_rounding
from narrower.evaluate.norm_estimation import with_estimated_norms
from narrower.plan.plan import Plan


def adjusted(
    model: nn.Module, plan: Plan, inputs: Tensor | Sequence[Tensor], ways: Collection[str]
) -> nn.Module:
    """Return a copy of ``model`` changed in some ``ways`` of ``ADJUSTMENTS`` (plan/formats/calibration.py).

    Always in that order: what weights become moves the means of channels, and norms are estimated for both.

    Raises:
        ModelError: the model cannot be traced.
    """
    changed = model
    if "rounding" in ways:
        changed = with_learned_rounding(changed, plan, inputs)
    if "biases" in ways:
        changed = with_corrected_biases(changed, plan, inputs, reference=model)
    if "norms" in ways:
        changed = with_estimated_norms(changed, plan, inputs)
    return changed
