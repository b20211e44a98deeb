"""The widths that a learned program begins with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.preparation.learning.programs.learned_program import NO_BITS, LearnedProgram
from narrower.preparation.learning.settings import LearnSettings

MORE_OF_BIASES = 4.0  # bits that biases have more than weights
FINE = 24.0  # a fraction with which nothing is lost


def start(learned: LearnedProgram, settings: LearnSettings, arguments: Sequence[Tensor]) -> None:
    """Bits as the settings say, and integer bits that hold the weights and the data of these samples."""
    most = float(max(settings.allowed, default=settings.max_width))
    with torch.no_grad():
        for each in learned.coefficients:
            shared = [axis for axis, size in enumerate(each.about.widths) if size != each.values.shape[axis]]
            largest = each.values.detach().abs()
            largest = largest.amax(shared, keepdim=True) if shared else largest.amax()
            integer_bits = largest.clamp_min(2**NO_BITS).log2().floor() + 1
            more = MORE_OF_BIASES if each.about.operand == "bias" else 0.0
            each.bits.fill_(min(settings.first_bits + more, most - 1))
            each.integer_bits.copy_(integer_bits.expand(each.about.widths).clamp_min(-FINE))
        for data in learned.data:
            data.fractions.fill_(FINE)
        for batch in zip(*(torch.split(each, SAMPLES_AT_ONCE) for each in arguments), strict=True):
            learned.outputs(*batch, see=lambda number, values: learned.data[number].see(values))
        for data in learned.data:
            bits = min(settings.first_bits, most)
            data.fractions.copy_((bits - data.signs - data.integer_bits).clamp(-FINE, FINE))
