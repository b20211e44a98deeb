"""All families of number formats."""

from narrower.formats.affine import AFFINE
from narrower.formats.family import Family
from narrower.formats.fixed import FIXED
from narrower.formats.float32 import FLOAT32_FAMILY
from narrower.formats.minifloat import MINIFLOAT

FAMILIES: list[Family] = [FLOAT32_FAMILY, FIXED, AFFINE, MINIFLOAT]
