"""What operators of ONNX compute, in PyTorch: a table of small functions; one without a line is refused."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.errors import ModelError

Values = Sequence[Any]  # a tensor, whole numbers in a list (of shapes), an array of a constant, or None
Attributes = dict[str, Any]
Compute = Callable[[Attributes, Values], Any]


def whole(value: Any) -> list[Any]:
    """The whole numbers of a constant, or of a shape that is computed."""
    if isinstance(value, Tensor):
        raise ModelError("a shape, or places, that are computed from the samples")
    return list(np.atleast_1d(value).tolist()) if isinstance(value, np.ndarray | np.generic) else list(value)


def tensor(value: Any) -> Tensor:
    """A value as a tensor; whole numbers of a width that PyTorch does not have take more bits."""
    if isinstance(value, np.ndarray) and value.dtype.name in ("int4", "uint4", "uint16"):
        value = value.astype(np.int32)
    return value if isinstance(value, Tensor) else torch.as_tensor(value)


def _unary(function: Callable[[Tensor], Tensor]) -> Compute:
    return lambda _, values: function(tensor(values[0]))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Compute:
    return lambda _, values: function(tensor(values[0]), tensor(values[1]))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Compute:
    return lambda _, values: reduce(function, map(tensor, values))


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _axes(given: Attributes, values: Values, position: int = 1) -> list[int] | None:
    if len(values) > position and values[position] is not None:
        return whole(values[position])
    found = given.get("axes")
    return None if found is None else list(found)


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Compute:
    def compute(given: Attributes, values: Values) -> Tensor:
        x, axes = values[0], _axes(given, values)
        if axes is None and given.get("noop_with_empty_axes"):
            return tensor(x)
        return function(x, list(range(x.dim())) if axes is None else axes, bool(given.get("keepdims", 1)))

    return compute


def _clip(_: Attributes, values: Values) -> Tensor:
    low, high = (tensor(v) if v is not None else None for v in (*values[1:], None, None)[:2])
    return torch.clamp(tensor(values[0]), low, high)


def _reshape(given: Attributes, values: Values) -> Any:
    x, sizes = tensor(values[0]), whole(values[1])
    if not given.get("allowzero"):  # zero: as it was
        sizes = [x.shape[n] if isinstance(size, int) and size == 0 else size for n, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(given: Attributes, values: Values) -> Any:
    x, axis = values[0], given.get("axis", 1)
    return x.flatten(1) if axis == 1 else x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(given: Attributes, values: Values) -> Tensor:
    axes = _axes(given, values)
    return tensor(values[0]).squeeze() if axes is None else tensor(values[0]).squeeze(tuple(axes))


def _unsqueeze(given: Attributes, values: Values) -> Tensor:
    x = tensor(values[0])
    axes = _axes(given, values) or []
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _slice(_: Attributes, values: Values) -> Tensor:
    x, starts, ends = tensor(values[0]), whole(values[1]), whole(values[2])
    axes = whole(values[3]) if len(values) > 3 and values[3] is not None else list(range(len(starts)))  # noqa: PLR2004
    steps = whole(values[4]) if len(values) > 4 and values[4] is not None else [1] * len(starts)  # noqa: PLR2004
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 0:
            if (start, step) != (-1, -1) or end > -x.shape[axis]:
                raise ModelError("a slice that goes backwards over a part")
            x = x.flip(axis)
            continue
        x = torch.ops.aten.slice.Tensor(x, axis, start, end, step)
    return x


def _split(given: Attributes, values: Values) -> tuple[Tensor, ...]:
    x, axis = tensor(values[0]), given.get("axis", 0)
    sizes = whole(values[1]) if len(values) > 1 and values[1] is not None else given.get("split")
    if sizes is None:
        return torch.split(x, -(-x.shape[axis] // given["num_outputs"]), axis)
    return torch.split(x, list(sizes), axis)


def _gather(given: Attributes, values: Values) -> Tensor:
    x, axis = tensor(values[0]), given.get("axis", 0)
    if isinstance(values[1], np.ndarray) and values[1].ndim == 0:
        return x.select(axis, int(values[1]))
    places = tensor(values[1])
    if axis == 0 and x.dim() == 2 and x.is_floating_point():  # noqa: PLR2004 - rows of a table
        return F.embedding(places, x)
    found = x.index_select(axis, places.reshape(-1))
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]) if places.dim() != 1 else found


def _pad(given: Attributes, values: Values) -> Tensor:
    x, pads = tensor(values[0]), whole(values[1])
    mode = given.get("mode", "constant")
    if mode != "constant" or (len(values) > 3 and values[3] is not None):  # noqa: PLR2004
        raise ModelError(f"a filling of mode {mode!r}, or along axes that are named")
    filled = 0.0 if len(values) < 3 or values[2] is None else float(tensor(values[2]))  # noqa: PLR2004
    half = len(pads) // 2
    return F.pad(x, [pads[k + side] for k in reversed(range(half)) for side in (0, half)], value=filled)


def symmetric(given: Attributes, dimensions: int) -> tuple[list[int], list[int]]:
    """Padding that both sides have, and what is filled in before it: for ``F.pad``."""
    if given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise ModelError(f"auto_pad {given['auto_pad']!r}")
    pads = list(given.get("pads", [0] * (2 * dimensions)))
    begin, end = pads[:dimensions], pads[dimensions:]
    if begin == end:
        return begin, []
    return [0] * dimensions, [side[k] for k in reversed(range(dimensions)) for side in (begin, end)]


def _pool(kind: str) -> Compute:
    def compute(given: Attributes, values: Values) -> Any:
        x, kernel = values[0], list(given["kernel_shape"])
        padding, before = symmetric(given, len(kernel))
        strides, rounds_up = list(given.get("strides", [1] * len(kernel))), bool(given.get("ceil_mode"))
        dilations = list(given.get("dilations", [1] * len(kernel)))
        if kind == "max":
            x = F.pad(x, before, value=-math.inf) if before else x
            pool = getattr(F, f"max_pool{len(kernel)}d")
            return pool(x, kernel, strides, padding, dilations, rounds_up)
        if before or set(dilations) != {1}:
            raise ModelError("an average over windows that are filled on one side, or have holes")
        pool = getattr(F, f"avg_pool{len(kernel)}d")
        return pool(x, kernel, strides, padding, rounds_up, bool(given.get("count_include_pad", 0)))

    return compute


def _over_places(function: Callable[[Tensor, list[int], bool], Tensor]) -> Compute:
    return lambda _, values: function(values[0], list(range(2, values[0].dim())), True)


def _gelu(given: Attributes, values: Values) -> Tensor:
    return F.gelu(values[0], approximate=given.get("approximate", "none"))


def _expand(_: Attributes, values: Values) -> Any:
    x, sizes = tensor(values[0]), whole(values[1])
    count = max(x.dim(), len(sizes))
    own, wanted = [1] * (count - x.dim()) + list(x.shape), [1] * (count - len(sizes)) + sizes
    return x.expand([a if isinstance(b, int) and b == 1 else b for a, b in zip(own, wanted, strict=True)])


def _cast(given: Attributes, values: Values) -> Any:
    kinds = {1: torch.float32, 11: torch.float64, 6: torch.int32, 7: torch.int64, 9: torch.bool}
    if given["to"] not in kinds:
        raise ModelError(f"a number of ONNX's type {given['to']}")
    return tensor(values[0]).to(kinds[given["to"]])


def _gemm(given: Attributes, values: Values) -> Any:
    a, b = (
        tensor(v).t() if given.get(f"trans{n}") else tensor(v) for v, n in zip(values, "AB", strict=False)
    )
    product = given.get("alpha", 1.0) * (a @ b)
    has_addend = len(values) > 2 and values[2] is not None  # noqa: PLR2004
    return product + given.get("beta", 1.0) * tensor(values[2]) if has_addend else product


RANGES = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int4": 4, "uint4": 4}  # bits


def _quantize(given: Attributes, values: Values) -> Tensor:
    """The whole numbers as real ones."""
    zero = values[2] if len(values) > 2 and values[2] is not None else np.zeros((), np.uint8)  # noqa: PLR2004
    if not isinstance(zero, np.ndarray) or zero.dtype.name not in RANGES:
        raise ModelError("a QuantizeLinear whose zero is computed, or no whole number")
    bits, is_signed = RANGES[zero.dtype.name], not zero.dtype.name.startswith("u")
    low = -(2 ** (bits - 1)) if is_signed else 0
    x, scale = tensor(values[0]), _along(given, values[1], values[0])
    steps = torch.round(x / scale) + _along(given, zero, values[0])
    return torch.clamp(steps, low, low + 2**bits - 1)


def _dequantize(given: Attributes, values: Values) -> Tensor:
    steps, scale = tensor(values[0]).to(torch.float32), _along(given, values[1], values[0])
    if len(values) > 2 and values[2] is not None:  # noqa: PLR2004
        steps = steps - _along(given, values[2], values[0])
    return steps * scale


def _along(given: Attributes, value: Any, x: Any) -> Tensor:
    """One number for all, or for each place of a dimension."""
    found = tensor(value).to(torch.float32)
    if found.dim() == 0 or given.get("block_size"):
        if given.get("block_size"):
            raise ModelError("scales of blocks")
        return found
    shape = [1] * tensor(x).dim()
    shape[given.get("axis", 1)] = -1
    return found.reshape(shape) if found.numel() > 1 else found.reshape(())


def _layer_norm(given: Attributes, values: Values) -> Tensor:
    x, weight, *bias = values
    axis = given.get("axis", -1)
    if axis % x.dim() != x.dim() - weight.dim():
        raise ModelError("a norm whose weight has other dimensions")
    return F.layer_norm(x, list(weight.shape), weight, bias[0] if bias else None, given.get("epsilon", 1e-5))


def _identity(_: Attributes, values: Values) -> Any:
    return values[0]


COMPUTE: dict[str, Compute] = {
    "Add": _binary(torch.add), "Sub": _binary(torch.sub), "Mul": _binary(torch.mul), "Div": _binary(_divide),
    "Pow": _binary(torch.pow), "Max": _folded(torch.maximum), "Min": _folded(torch.minimum),
    "Sum": _folded(torch.add), "MatMul": _binary(torch.matmul), "Equal": _binary(torch.eq),
    "Greater": _binary(torch.gt), "GreaterOrEqual": _binary(torch.ge), "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le), "And": _binary(torch.logical_and), "Or": _binary(torch.logical_or),
    "Xor": _binary(torch.logical_xor), "Not": _unary(torch.logical_not), "Mod": _binary(torch.remainder),
    "Relu": _unary(F.relu), "Sigmoid": _unary(torch.sigmoid), "Tanh": _unary(torch.tanh),
    "Exp": _unary(torch.exp), "Log": _unary(torch.log), "Sqrt": _unary(torch.sqrt), "Erf": _unary(torch.erf),
    "Abs": _unary(torch.abs), "Neg": _unary(torch.neg), "Sign": _unary(torch.sign), "Sin": _unary(torch.sin),
    "Cos": _unary(torch.cos), "Floor": _unary(torch.floor), "Ceil": _unary(torch.ceil),
    "Round": _unary(torch.round), "Reciprocal": _unary(torch.reciprocal), "Softplus": _unary(F.softplus),
    "Softsign": _unary(F.softsign), "Mish": _unary(F.mish), "HardSwish": _unary(F.hardswish),
    "Elu": lambda given, values: F.elu(values[0], given.get("alpha", 1.0)),
    "LeakyRelu": lambda given, values: F.leaky_relu(values[0], given.get("alpha", 0.01)),
    "HardSigmoid": lambda given, values: torch.clamp(
        given.get("alpha", 0.2) * values[0] + given.get("beta", 0.5), 0, 1),
    "PRelu": lambda _, values: torch.where(values[0] >= 0, values[0], values[0] * tensor(values[1])),
    "Gelu": _gelu, "Clip": _clip, "Cast": _cast, "Identity": _identity, "Dropout": _identity,
    "Softmax": lambda given, values: torch.softmax(values[0], given.get("axis", -1)),
    "LogSoftmax": lambda given, values: torch.log_softmax(values[0], given.get("axis", -1)),
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize, "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "ReduceMean": _reduced(torch.mean), "ReduceSum": _reduced(torch.sum), "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin), "ReduceL2": _reduced(
        lambda x, axes, keeps: torch.linalg.vector_norm(x, dim=axes, keepdim=keeps)),
    "GlobalAveragePool": _over_places(torch.mean), "GlobalMaxPool": _over_places(torch.amax),
    "MaxPool": _pool("max"), "AveragePool": _pool("average"), "Pad": _pad,
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Slice": _slice,
    "Transpose": lambda given, values: tensor(values[0]).permute(
        given.get("perm") or list(reversed(range(values[0].dim())))),
    "Concat": lambda given, values: torch.cat([tensor(value) for value in values], given["axis"]),
    "Expand": _expand,
    "Tile": lambda _, values: tensor(values[0]).repeat(whole(values[1])),
    "Where": lambda _, values: torch.where(*(tensor(value) for value in values)),
    "Split": _split, "Gather": _gather,
    "Shape": lambda given, values: list(values[0].shape)[given.get("start", 0) : given.get("end")],
}  # fmt: skip
