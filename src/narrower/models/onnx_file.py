"""A model from an ONNX file: its layers as PyTorch's modules, the rest as functions; nothing is unpickled."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import ModelError
from narrower.models.onnx_operators import COMPUTE, Attributes, symmetric
from narrower.models.onnx_sizes import OF_SIZES

OLDEST = 13  # set of operators: before it some meant something else
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
MATRIX = 2  # dimensions


class AnyBatchNorm(nn.BatchNorm2d):
    """Batch norm of samples of any dimensions."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class OnnxModel(nn.Module):
    """The graph of a file, node by node."""

    def __init__(self, graph: Any) -> None:
        super().__init__()
        import onnx

        held = {item.name: onnx.numpy_helper.to_array(item).copy() for item in graph.initializer}
        self.inputs = [item.name for item in graph.input if item.name not in held]
        self.outputs = [item.name for item in graph.output]
        self.layers, self.constants = nn.ModuleDict(), nn.ParameterDict()
        self._held: dict[str, Any] = held
        self._parameters_of: dict[str, str] = {}
        self._steps: list[tuple[str, str, Attributes, list[str], list[str]]] = []
        self._taken: Counter[str] = Counter()
        addends = _addends(graph, held)
        skipped: set[str] = set()
        for number, node in enumerate(graph.node):
            given = {item.name: _plain(onnx.helper.get_attribute_value(item)) for item in node.attribute}
            if node.op_type == "Constant":
                held[node.output[0]] = _constant(given)
                continue
            if node.output[0] in skipped:
                continue
            if (known := self._known(node, given)) is not None:
                held[node.output[0]] = known
                continue
            self._add(node, number, given, addends.get(node.output[0]), skipped)

    def _add(self, node: Any, number: int, given: Attributes, addend: Any, skipped: set[str]) -> None:
        inputs, outputs = list(node.input), list(node.output)
        layer = _layer(node.op_type, given, [self._held.get(name) for name in inputs]) if inputs else None
        if layer is None:
            if node.domain not in ("", "ai.onnx") or node.op_type not in COMPUTE:
                raise ModelError(f"operator {node.op_type} {node.domain}".rstrip() + " has no rule")
            for name in inputs:
                self._keep(name)
            self._steps.append((node.op_type, "", given, inputs, outputs))
            return
        if addend is not None and isinstance(layer, nn.Linear) and layer.bias is None:
            result, bias = addend
            if len(self._held[bias]) == layer.out_features:
                layer.bias = nn.Parameter(torch.from_numpy(self._held[bias]))
                skipped.add(result)
                outputs = [result]
        name = self._new_name(node.name or outputs[0] or f"{node.op_type}_{number}")
        self.layers[name] = layer
        before = symmetric(given, layer.weight.dim() - 2)[1] if node.op_type == "Conv" else []
        self._steps.append(("", name, {"before": before}, inputs[:1], outputs))

    def _known(self, node: Any, given: Attributes) -> Any:
        """What a node computes from constants alone; None where it does not, or has no rule."""
        read = [self._held.get(name) if name else None for name in node.input]
        is_known = all(
            isinstance(value, np.ndarray) or not name for value, name in zip(read, node.input, strict=True)
        )
        if not node.input or not is_known or node.op_type not in COMPUTE or len(node.output) > 1:
            return None
        found = COMPUTE[node.op_type](given, read)
        return found.numpy() if isinstance(found, Tensor) else None

    def _keep(self, name: str) -> None:
        """Numbers that are no layer's are parameters as well, where there are several real ones."""
        values = self._held.get(name)
        if name in self._parameters_of or not isinstance(values, np.ndarray):
            return
        if values.dtype == np.float32 and values.size > 1:
            own = self._new_name(name)
            self.constants[own] = nn.Parameter(torch.from_numpy(values))
            self._parameters_of[name] = own

    def _new_name(self, wanted: str) -> str:
        plain = re.sub(r"\W+", "_", wanted).strip("_") or "layer"
        plain = f"_{plain}" if plain[0].isdigit() or hasattr(nn.ModuleDict, plain) else plain
        self._taken[plain] += 1
        return plain if self._taken[plain] == 1 else f"{plain}_{self._taken[plain]}"

    def forward(self, *arguments: Tensor) -> Any:
        values: dict[str, Any] = {"": None, **self._held, **dict(zip(self.inputs, arguments, strict=True))}
        values |= {name: self.constants[own] for name, own in self._parameters_of.items()}
        for kind, layer, given, inputs, outputs in self._steps:
            read = [values[name] for name in inputs]
            if layer:
                x = F.pad(read[0], given["before"]) if given["before"] else read[0]
                found = self.layers[layer](x)
            else:
                are_sizes = any(isinstance(value, list) for value in read) and not any(
                    isinstance(value, Tensor) for value in read
                )
                found = (OF_SIZES if are_sizes and kind in OF_SIZES else COMPUTE)[kind](given, read)
            values |= zip(outputs, found if isinstance(found, tuple) else (found,), strict=False)
        results = [values[name] for name in self.outputs]
        return results[0] if len(results) == 1 else tuple(results)


def onnx_model(file: str) -> nn.Module:
    """The model of a file, with its weights.

    Raises:
        ModelError: it is not there, no ONNX file, or holds what has no rule, which is named.
    """
    import onnx

    path = Path(file).expanduser()
    if not path.is_file():
        raise ModelError(f"{file}: there is no such file")
    try:
        loaded = onnx.load(path)
        onnx.checker.check_model(loaded)
    except Exception as error:  # damaged files raise whatever their reader raises
        raise ModelError(
            f"{file}: not a whole ONNX file: {str(error).strip().splitlines()[0][:200]}"
        ) from error
    versions = [item.version for item in loaded.opset_import if item.domain in ("", "ai.onnx")]
    if not versions or versions[0] < OLDEST:
        raise ModelError(
            f"{file}: its operators are those of set {versions[0] if versions else 'none'}; from {OLDEST} "
            "they are read (onnx.version_converter converts older ones)"
        )
    try:
        return OnnxModel(loaded.graph)
    except ModelError as error:
        raise ModelError(
            f"{file}: {error}; read are {', '.join(sorted({*COMPUTE, *LAYERS, 'Constant'}))}"
        ) from None


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _constant(given: Attributes) -> Any:
    import onnx

    ((name, value),) = given.items()
    return onnx.numpy_helper.to_array(value).copy() if name == "value" else np.asarray(value)


def _addends(graph: Any, held: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Additions of a row of constants to what nothing else reads: its result and the row, by what is read."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(item.name for item in graph.output)
    found = {}
    for node in graph.node:
        if node.op_type == "Add":
            for value, row in (tuple(node.input), tuple(reversed(node.input))):
                if readers[value] == 1 and row in held and held[row].ndim == 1:
                    found[value] = node.output[0], row
    return found


def _layer(kind: str, given: Attributes, held: list[Any]) -> Any:
    """The module that a node is; None where it is a function of values."""
    if (
        kind not in LAYERS
        or held[0] is not None
        or any(not isinstance(value, np.ndarray) for value in held[1:])
    ):
        return None
    weight, *others = (torch.from_numpy(value) for value in held[1:])
    if kind in ("Conv", "ConvTranspose"):
        return _convolution(kind, given, weight, others[0] if others else None)
    if kind == "BatchNormalization":
        norm = AnyBatchNorm(len(weight), given.get("epsilon", 1e-5), 1 - given.get("momentum", 0.9))
        norm.weight, norm.bias = nn.Parameter(weight), nn.Parameter(others[0])
        norm.running_mean, norm.running_var = others[1], others[2]
        return norm
    if (
        weight.dim() != MATRIX
        or given.get("transA")
        or {given.get("alpha", 1.0), given.get("beta", 1.0)} != {1.0}
    ):
        return None
    weight = weight if given.get("transB") else weight.t().contiguous()
    if others and others[0].shape != (len(weight),):
        return None
    return _filled(nn.Linear(weight.shape[1], weight.shape[0], bias=bool(others)), weight, others)


def _convolution(kind: str, given: Attributes, weight: Tensor, bias: Tensor | None) -> nn.Module:
    dimensions, groups = weight.dim() - 2, given.get("group", 1)
    padding, before = symmetric(given, dimensions)
    sizes: dict[str, Any] = {
        "stride": tuple(given.get("strides", [1] * dimensions)),
        "dilation": tuple(given.get("dilations", [1] * dimensions)),
        "padding": tuple(padding),
        "groups": groups,
        "bias": bias is not None,
    }
    if kind == "Conv":
        made = getattr(nn, f"Conv{dimensions}d")
        layer = made(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), **sizes)
    else:
        if before or "output_shape" in given:
            raise ModelError("a ConvTranspose that cuts more from one side")
        sizes["output_padding"] = tuple(given.get("output_padding", [0] * dimensions))
        made = getattr(nn, f"ConvTranspose{dimensions}d")
        layer = made(weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), **sizes)
    return _filled(layer, weight, [] if bias is None else [bias])


def _filled(layer: Any, weight: Tensor, biases: list[Tensor]) -> nn.Module:
    layer.weight = nn.Parameter(weight)
    if biases:
        layer.bias = nn.Parameter(biases[0])
    made: nn.Module = layer
    return made
