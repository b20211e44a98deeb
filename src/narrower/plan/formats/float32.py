"""IEEE single precision: a tensor that is not quantized."""

from dataclasses import dataclass
from math import prod

from narrower.plan.formats.family import Family


@dataclass(frozen=True, slots=True)
class Float32:
    """No quantization."""

    @property
    def bits(self) -> int:
        return 32

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.bits

    @property
    def text(self) -> str:
        return FLOAT32_FAMILY.text(self)

    @property
    def grid(self) -> None:
        return None


FLOAT32_FAMILY = Family(Float32, {"float32": {}}, {"float32": "as it is"})
FLOAT32 = Float32()
