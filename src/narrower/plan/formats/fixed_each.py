"""Fixed point with a width and a fraction of its own for each entry of a tensor."""

import hashlib
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narrower.errors import SettingsError
from narrower.plan.formats.grid import Grid

NAME = "fixed_each"
WIDEST = 32
SHORT = 16  # digits of the digest in the text form
Overflow = Literal["saturate", "symmetric", "wrap"]
OVERFLOWS: tuple[Overflow, ...] = ("saturate", "symmetric", "wrap")
ARRAYS = ("widths", "fracs", "signs")


@dataclass(frozen=True, slots=True, eq=False)
class FixedEach:
    """``floor(x * 2**frac + 1/2) / 2**frac``, ``width`` bits wide, for each entry.

    The arrays have the shape of the last axes of the tensor, or 1 where entries share a format: [I] for a
    layer's data of a batch [N, I], [O, 1, 1, 1] for the weights of a convolution by output.
    ``signs``: 1 where one of the bits is a sign. An entry without bits is zero. Outside its range an entry
    saturates, by "symmetric" at as far below zero as above it, or wraps: it loses its highest bits. Rounds
    half up, as ``ap_fixed<..., AP_RND, AP_SAT>`` (AP_SAT_SYM, AP_WRAP) of Vitis HLS does.

    Its text form names the arrays by their digest, after the mean width and the widest:
    ``fixed_each(2.75,widest=6,digest=0123456789abcdef)``. Who stores plans stores the arrays beside them.
    """

    widths: NDArray[np.int8]
    fracs: NDArray[np.int8]
    signs: NDArray[np.int8]
    overflow: Overflow = "saturate"
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        shapes = {getattr(self, name).shape for name in ARRAYS}
        if len(shapes) > 1:
            raise SettingsError(f"{NAME}: widths, fracs and signs differ in shape: {sorted(shapes)}")
        if self.overflow not in OVERFLOWS:
            raise SettingsError(f"{NAME}: overflow {self.overflow!r}; allowed: {', '.join(OVERFLOWS)}")
        if self.widths.size and not (self.widths.min() >= 0 and self.widths.max() <= WIDEST):
            raise SettingsError(f"{NAME}: widths are 0 to {WIDEST} bits")
        digest = hashlib.sha256(repr((self.overflow, self.widths.shape)).encode())
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int8)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
            digest.update(array.tobytes())
        object.__setattr__(self, "digest", digest.hexdigest())

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, FixedEach) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def bits(self) -> int:
        """Those of the widest entry: what each takes in memory of equal words."""
        return int(self.widths.max(initial=0))

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        count, each = prod(shape), self.widths.size
        if each and count % each == 0:
            return int(self.widths.sum(dtype=np.int64)) * (count // each)
        return count * self.bits

    @property
    def mean_bits(self) -> float:
        """The mean of the widths."""
        return float(self.widths.mean()) if self.widths.size else 0.0

    @property
    def text(self) -> str:
        return f"{NAME}({self.mean_bits:.4g},widest={self.bits},digest={self.digest[:SHORT]})"

    @property
    def grid(self) -> Grid | None:
        """None: entries lie on grids of their own."""
        return None

    @property
    def integer_ranges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Smallest and largest value of each entry, in its steps."""
        widths = self.widths.astype(np.int64)
        is_signed = (self.signs != 0) & (widths > 0)
        high = (1 << (widths - is_signed)) - 1
        lowest = -high if self.overflow == "symmetric" else -high - 1
        return np.where(is_signed, lowest, 0), high
