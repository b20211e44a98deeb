"""All families of number formats."""

from narrower.formats.affine import AFFINE
from narrower.formats.block import BLOCK_FLOAT, MX
from narrower.formats.family import Family
from narrower.formats.fixed import FIXED
from narrower.formats.float32 import FLOAT32_FAMILY
from narrower.formats.minifloat import MINIFLOAT
from narrower.formats.power_of_two import POWER_OF_TWO
from narrower.formats.sign_only import BINARY, TERNARY

FAMILIES: list[Family] = [
    FLOAT32_FAMILY,
    FIXED,
    AFFINE,
    MINIFLOAT,
    MX,
    BLOCK_FLOAT,
    POWER_OF_TWO,
    BINARY,
    TERNARY,
]
