"""IEEE single precision: a tensor that is not quantized."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Float32:
    """No quantization."""

    @property
    def bits(self) -> int:
        return 32

    @property
    def text(self) -> str:
        return "float32"


FLOAT32 = Float32()
