"""The quantizer of each family of formats; float32 needs none."""

from narrower.plan.formats.affine import Affine
from narrower.plan.formats.block import BlockFloat, Mx
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.minifloat import Minifloat
from narrower.plan.formats.power_of_two import PowerOfTwo
from narrower.plan.formats.sign_only import Binary, Ternary
from narrower.plan.formats.sparse import Sparse
from narrower.transform.quantizers.affine import AffineQuantizer
from narrower.transform.quantizers.block import BlockFloatQuantizer, MxQuantizer
from narrower.transform.quantizers.fixed import FixedQuantizer
from narrower.transform.quantizers.fixed_channels import FixedChannelsQuantizer
from narrower.transform.quantizers.fixed_each import FixedEachQuantizer
from narrower.transform.quantizers.minifloat import MinifloatQuantizer
from narrower.transform.quantizers.power_of_two import PowerOfTwoQuantizer
from narrower.transform.quantizers.quantizer import Quantizer
from narrower.transform.quantizers.sign_only import BinaryQuantizer, TernaryQuantizer
from narrower.transform.quantizers.sparse import SparseQuantizer

QUANTIZERS: dict[type, Quantizer] = {
    FixedPoint: FixedQuantizer(),
    FixedChannels: FixedChannelsQuantizer(),
    FixedEach: FixedEachQuantizer(),
    Sparse: SparseQuantizer(),
    Affine: AffineQuantizer(),
    Minifloat: MinifloatQuantizer(),
    Mx: MxQuantizer(),
    BlockFloat: BlockFloatQuantizer(),
    PowerOfTwo: PowerOfTwoQuantizer(),
    Binary: BinaryQuantizer(),
    Ternary: TernaryQuantizer(),
}
