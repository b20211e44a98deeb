"""An ONNX graph under construction: nodes and constants, each with a name of its own."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Size = int | str
PRODUCER = "narrower"


class OnnxBuilder:
    """Collects nodes and constants; equal constants are held once."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._held: dict[tuple[object, ...], str] = {}
        self._count = 0

    def emit(
        self, operator: str, *inputs: str, label: str | None = None, domain: str = "", **attributes: object
    ) -> str:
        """Add a node and return the name of its output."""
        (output,) = self.emit_several(1, operator, *inputs, label=label, domain=domain, **attributes)
        return output

    def emit_several(
        self,
        count: int,
        operator: str,
        *inputs: str,
        label: str | None = None,
        domain: str = "",
        **attributes: object,
    ) -> tuple[str, ...]:
        """Add a node with several outputs and return their names."""
        outputs = [self._name(label or operator.lower()) for _ in range(count)]
        node = helper.make_node(operator, list(inputs), outputs, name=outputs[0], domain=domain, **attributes)
        self._nodes.append(node)
        return tuple(outputs)

    def constant(self, values: object, label: str = "constant") -> str:
        """Hold an array in its own data type, floats as float32."""
        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._held:
            self._held[key] = self._name(label)
            self._constants.append(numpy_helper.from_array(array.copy(order="C"), self._held[key]))
        return self._held[key]

    def integers(self, values: NDArray[np.int64], data_type: int, label: str) -> str:
        """Hold whole numbers in one of ONNX's integer types, 4-bit ones two to a byte."""
        key = (data_type, values.shape, values.tobytes())
        if key not in self._held:
            self._held[key] = self._name(label)
            tensor = helper.make_tensor(self._held[key], data_type, values.shape, values.flatten().tolist())
            if data_type not in (TensorProto.INT4, TensorProto.UINT4):  # four bytes to a number otherwise
                array = values.astype(helper.tensor_dtype_to_np_dtype(data_type))
                tensor = numpy_helper.from_array(array, self._held[key])
            self._constants.append(tensor)
        return self._held[key]

    def finish(
        self,
        name: str,
        inputs: Sequence[tuple[str, int, Sequence[Size]]],
        outputs: Sequence[tuple[str, str, Sequence[Size]]],
        opsets: Sequence[tuple[str, int]],
        ir_version: int,
    ) -> onnx.ModelProto:
        """The model.

        ``inputs`` holds (name, ONNX type, shape), ``outputs`` (computed value, name to give it, shape).
        """
        for value, output, _ in outputs:
            self._rename(value, output)
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(n, kind, list(shape)) for n, kind, shape in inputs],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shape)) for _, n, shape in outputs],
            self._constants,
        )
        model: onnx.ModelProto = helper.make_model(
            graph,
            producer_name=PRODUCER,
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets],
            ir_version=ir_version,
        )
        return model

    def _rename(self, value: str, name: str) -> None:
        """Give a computed value its name: a node that only does that is more than some readers can take."""
        if not any(value in node.output for node in self._nodes):  # an input or a constant
            self._nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}_named"))
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                for position, found in enumerate(names):
                    if found == value:
                        names[position] = name

    def _name(self, label: str) -> str:
        self._count += 1
        return f"{label.replace('.', '_')}_{self._count}"
