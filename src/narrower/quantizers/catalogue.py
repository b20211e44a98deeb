"""The quantizer of each family of formats; float32 needs none."""

from narrower.formats.fixed import FixedPoint
from narrower.quantizers.fixed import FixedQuantizer
from narrower.quantizers.quantizer import Quantizer

QUANTIZERS: dict[type, Quantizer] = {FixedPoint: FixedQuantizer()}
