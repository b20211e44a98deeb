"""Energy of arithmetic and of memory accesses in a 45 nm process.

The measured values are those of M. Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V). They compare plans; they are no forecast for a chip of today.
"""

from math import log

# Picojoules of one operation, by width.
INTEGER_MULTIPLY_PJ = {8: 0.2, 32: 3.1}
INTEGER_ADD_PJ = {8: 0.03, 32: 0.1}
FLOAT_MULTIPLY_PJ = {16: 1.1, 32: 3.7}
FLOAT_ADD_PJ = {16: 0.4, 32: 0.9}
# Picojoules of one access of 64 bits; DRAM's is the lower end of "1.3 to 2.6 nJ".
ACCESS_PJ = {"8 KB cache": 10.0, "32 KB cache": 20.0, "1 MB cache": 100.0, "DRAM": 1300.0}
ACCESS_BITS = 64
ATTOJOULES = 1_000_000  # of one picojoule
# Between and below the two measured widths: a power of the product of the widths through both of them.
EXPONENT = log(INTEGER_MULTIPLY_PJ[32] / INTEGER_MULTIPLY_PJ[8]) / log(32 * 32 / (8 * 8))


def multiply_accumulate_pj(data_bits: float | None, weight_bits: float | None) -> float:
    """Energy of one multiplication and one addition; None: float32, then both are."""
    if data_bits is None or weight_bits is None:
        return FLOAT_MULTIPLY_PJ[32] + FLOAT_ADD_PJ[32]
    relative = data_bits * weight_bits / (8 * 8)
    return float(INTEGER_MULTIPLY_PJ[8] * relative**EXPONENT + INTEGER_ADD_PJ[32])


def is_measured(data_bits: float | None, weight_bits: float | None) -> bool:
    """Whether the source has these widths; all others are an extrapolation."""
    return data_bits == weight_bits and data_bits in (None, *INTEGER_MULTIPLY_PJ)


def multiply_accumulate_attojoules(data_bits: float | None, weight_bits: float | None) -> int:
    """The same as a whole number of millionths of a picojoule, so that sums are exact in any order."""
    return round(multiply_accumulate_pj(data_bits, weight_bits) * ATTOJOULES)
