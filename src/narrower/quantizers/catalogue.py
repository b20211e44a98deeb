"""The quantizer of each family of formats; float32 needs none."""

from narrower.formats.affine import Affine
from narrower.formats.fixed import FixedPoint
from narrower.formats.fixed_each import FixedEach
from narrower.formats.minifloat import Minifloat
from narrower.quantizers.affine import AffineQuantizer
from narrower.quantizers.fixed import FixedQuantizer
from narrower.quantizers.fixed_each import FixedEachQuantizer
from narrower.quantizers.minifloat import MinifloatQuantizer
from narrower.quantizers.quantizer import Quantizer

QUANTIZERS: dict[type, Quantizer] = {
    FixedPoint: FixedQuantizer(),
    FixedEach: FixedEachQuantizer(),
    Affine: AffineQuantizer(),
    Minifloat: MinifloatQuantizer(),
}
