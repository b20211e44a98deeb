"""All families of number formats."""

from narrower.formats.family import Family
from narrower.formats.fixed import FIXED
from narrower.formats.float32 import FLOAT32_FAMILY
from narrower.formats.minifloat import MINIFLOAT

FAMILIES: list[Family] = [FLOAT32_FAMILY, FIXED, MINIFLOAT]
# What "name" may be in a search space: every spelling, with the name that it stands for.
SEARCHED = {spelling: family.name for family in (FIXED,) for spelling in (*family.spellings, family.name)}
