"""Padding, interpolation and moves between channels and space, as ONNX operators."""

from typing import Any

import numpy as np
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import (
    Rule,
    Translation,
    has_argument,
    rank_of,
    sizes_of,
    type_of,
    whole_size,
)
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
AXES_CAN_BE_NAMED = 18  # opset of Resize
WRAPS = 19  # opset of Pad


def _pad(t: Translation, node: fx.Node) -> str:
    """PyTorch lists the last dimension first, ONNX all beginnings, then all ends."""
    name = base_name(node)
    mode = "constant"
    if name == "pad":
        mode = argument(node, "mode")
    elif name != "constant_pad_nd":
        mode = "reflect" if name.startswith("reflection") else "replicate"
    given = [int(size) for size in argument(node, "pad" if name in ("pad", "constant_pad_nd") else "padding")]
    if mode == "circular" and t.opset < WRAPS:
        raise ExportError(f"no rule for circular padding in this dialect ({node.name})")
    before, after = given[0::2][::-1], given[1::2][::-1]
    unpadded = [0] * (rank_of(node.args[0]) - len(before))
    x = t.name(node.args[0])
    pads = t.integers(*unpadded, *before, *unpadded, *after)
    if mode != "constant":
        return t.emit("Pad", x, pads, mode=MODES[mode])
    value = argument(node, "value") if has_argument(node, "value") else 0
    return t.emit("Pad", x, pads, t.name(value or 0, type_of(node)))


def _resize(mode: str, **attributes: object) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        x, shape = node.args[0], sizes_of(node)
        spatial = len(shape) - 2
        coordinates = dict(attributes)
        if has_argument(node, "align_corners"):
            aligned = bool(argument(node, "align_corners"))
            way = "align_corners" if aligned else "pytorch_half_pixel"
            coordinates["coordinate_transformation_mode"] = way
        sizes = [whole_size(node, axis) for axis in range(-spatial, 0)]
        factors: Any = _factors(node)
        if t.opset < AXES_CAN_BE_NAMED:
            factors = None if factors is None else [1.0, 1.0, *factors]
            wanted = t.sizes(shape)
        else:
            coordinates["axes"] = list(range(2, 2 + spatial))
            wanted = t.integers(*sizes)
        if factors is None:
            return t.emit("Resize", t.name(x), "", "", wanted, mode=mode, **coordinates)
        scales = t.builder.constant(np.array(factors, np.float32), "scales")
        return t.emit("Resize", t.name(x), "", scales, mode=mode, **coordinates)

    return rule


def _factors(node: fx.Node) -> list[float] | None:
    """The factors that the caller gave, by which positions are computed; None: sizes were given."""
    if has_argument(node, "scale_factors"):
        given = argument(node, "scale_factors")
        return None if given is None else [float(factor) for factor in given]
    names = [name for name in ("scales", "scales_d", "scales_h", "scales_w") if has_argument(node, name)]
    factors = [argument(node, name) for name in names]
    return None if any(factor is None for factor in factors) else [float(factor) for factor in factors]


def _pixel_shuffle(t: Translation, node: fx.Node) -> str:
    if rank_of(node.args[0]) != 4:  # noqa: PLR2004 - samples of images
        raise ExportError(f"no rule for pixel_shuffle of {rank_of(node.args[0])} dimensions")
    factor = int(argument(node, "upscale_factor"))
    return t.emit("DepthToSpace", t.name(node.args[0]), blocksize=factor, mode="CRD")


def _pixel_unshuffle(t: Translation, node: fx.Node) -> str:
    channels, height, width = (whole_size(node.args[0], axis) for axis in (1, 2, 3))
    factor = int(argument(node, "downscale_factor"))
    cut = t.integers(-1, channels, height // factor, factor, width // factor, factor)
    parts = t.emit("Transpose", t.emit("Reshape", t.name(node.args[0]), cut), perm=[0, 1, 3, 5, 2, 4])
    joined = t.integers(-1, channels * factor**2, height // factor, width // factor)
    return t.emit("Reshape", parts, joined)


def _channel_shuffle(t: Translation, node: fx.Node) -> str:
    x, groups = node.args[0], int(argument(node, "groups"))
    channels, *others = (whole_size(x, axis) for axis in range(1, rank_of(x)))
    cut = t.emit("Reshape", t.name(x), t.integers(-1, groups, channels // groups, *others))
    order = [0, 2, 1, *range(3, 3 + len(others))]
    mixed = t.emit("Transpose", cut, perm=order)
    return t.emit("Reshape", mixed, t.integers(-1, channels, *others))


NEAREST = _resize("nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
NEAREST_EXACT = _resize(
    "nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_ceil"
)
LINEAR = _resize("linear")

# What only moves and repeats values, and what computes new ones between them.
REARRANGING: dict[str, Rule] = {
    "pad": _pad,
    "constant_pad_nd": _pad,
    **{f"{way}_pad{n}d": _pad for way in ("reflection", "replication") for n in (1, 2, 3)},
    **{f"upsample_nearest{n}d": NEAREST for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": NEAREST_EXACT for n in (1, 2, 3)},
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "channel_shuffle": _channel_shuffle,
}
INTERPOLATING: dict[str, Rule] = {
    "upsample_linear1d": LINEAR,
    "upsample_bilinear2d": LINEAR,
    "upsample_trilinear3d": LINEAR,
    "upsample_bicubic2d": _resize("cubic", cubic_coeff_a=-0.75),
}
RESAMPLING = REARRANGING | INTERPOLATING
