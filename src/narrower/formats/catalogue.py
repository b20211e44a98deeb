"""All families of number formats."""

from narrower.formats.family import Family
from narrower.formats.fixed import FIXED
from narrower.formats.float32 import FLOAT32_FAMILY

FAMILIES: list[Family] = [FLOAT32_FAMILY, FIXED]
# What "name" may be in a search space: every spelling, with the name that it stands for.
SEARCHED = {
    spelling: family.name
    for family in FAMILIES
    if family.field_kinds
    for spelling in (*family.spellings, family.name)
}
