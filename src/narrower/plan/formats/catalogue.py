"""All families of number formats, in the order of the documentation."""

from narrower.plan.formats.affine import AFFINE
from narrower.plan.formats.block import BLOCK_FLOAT, MX
from narrower.plan.formats.family import Family
from narrower.plan.formats.fixed import FIXED
from narrower.plan.formats.fixed_channels import FIXED_CHANNELS
from narrower.plan.formats.float32 import FLOAT32_FAMILY
from narrower.plan.formats.minifloat import MINIFLOAT
from narrower.plan.formats.power_of_two import POWER_OF_TWO
from narrower.plan.formats.sign_only import BINARY, TERNARY
from narrower.plan.formats.sparse import SPARSE

FAMILIES: list[Family] = [
    FLOAT32_FAMILY,
    FIXED,
    FIXED_CHANNELS,
    SPARSE,
    AFFINE,
    MINIFLOAT,
    MX,
    BLOCK_FLOAT,
    POWER_OF_TWO,
    BINARY,
    TERNARY,
]
