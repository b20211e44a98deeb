"""A lowered program under one plan as a module: what was scored, to be called, saved and exported."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, fx, nn

from narrower.evaluate.plan_names import check_names
from narrower.evaluate.recurrent import run_recurrent
from narrower.graph.nodes import is_recurrent, rounded_operand
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize

ROUNDINGS = "roundings"


class Rounding(nn.Module):
    """Rounds what a product reads into a number format."""

    def __init__(self, number_format: NumberFormat) -> None:
        super().__init__()
        self.number_format = number_format

    def forward(self, x: Tensor) -> Tensor:
        return quantize(x, self.number_format)

    def extra_repr(self) -> str:
        return self.number_format.text


class RoundedStates(nn.Module):
    """A recurrent layer that rounds its states, as it rounds its input, where its matrices read them."""

    def __init__(self, target: Any, number_format: NumberFormat) -> None:
        super().__init__()
        self.target, self.number_format = target, number_format

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        return run_recurrent(self.target, arguments, keywords, self.number_format)

    def extra_repr(self) -> str:
        return f"{self.target}, {self.number_format.text}"


class Deployed(fx.GraphModule):
    """A network as it was scored under a plan.

    It takes the model's arguments, for any number of samples, and returns the scores: bit for bit those of
    the search at the same batch size and number of threads. Its tensors are rounded already and have the
    names that they have in the model; values that depend on the samples are rounded by the modules in
    ``roundings``. ``code`` shows what is computed. There is nothing to train: no gradient passes a rounding.
    """


def deployed(program: Program, plan: Plan) -> Deployed:
    """The module of a lowered program whose operands are rounded as ``plan`` says.

    Raises:
        UnknownNameError: the plan names a layer or an edge that the program does not have.
    """
    assert program.untraced is None
    check_names(program, plan)
    return _Builder(program, plan).build()


class _Builder:
    def __init__(self, program: Program, plan: Plan) -> None:
        copied = program.copy()
        self._graph, self._tensors, self._names = copied.graph, copied.tensors, copied.parameter_names
        self._plan = plan
        self._root = nn.Module()
        self._taken: set[str] = set()
        self._rounded: dict[tuple[fx.Node, NumberFormat], fx.Node] = {}

    def build(self) -> Deployed:
        for node in list(self._graph.nodes):
            if node.op == "call_function":
                for source, number_format in list(self._operands(node)):
                    node.replace_input_with(source, self._round(node, source, number_format))
                if is_recurrent(node) and "layer" in node.meta:
                    self._round_states(node, self._plan.layer(node.meta["layer"]).data)
            if "edge" in node.meta:
                self._round_edge(node, self._plan.layer(node.meta["edge"]).output)
            elif node.op == "output":
                (returned,) = node.args
                node.args = (returned[0] if isinstance(returned, tuple | list) else returned,)
        for node in reversed(list(self._graph.nodes)):
            if node.op in ("call_function", "call_module") and not node.users:
                self._graph.erase_node(node)
        for node in [node for node in self._graph.nodes if node.name in self._tensors]:
            if node.users:
                with self._graph.inserting_before(node):
                    node.replace_all_uses_with(self._held(node, self._tensors[node.name]))
            self._graph.erase_node(node)
        self._graph.lint()
        module = Deployed(self._root, self._graph, "Deployed")
        module.eval()
        return module

    def _operands(self, node: fx.Node) -> Iterator[tuple[fx.Node, NumberFormat]]:
        """What a node reads rounded, each with its format."""
        for source in node.all_input_nodes:
            slot = rounded_operand(node, source, self._tensors)
            if slot is not None:
                layer, operand = slot
                number_format: NumberFormat = getattr(self._plan.layer(layer), operand)
                if number_format != FLOAT32:
                    yield source, number_format

    def _round(self, reader: fx.Node, source: fx.Node, number_format: NumberFormat) -> fx.Node:
        """The rounded value of ``source``: a tensor where no sample reaches it."""
        key = source, number_format
        if key not in self._rounded:
            constant = self._constant(source)
            with self._graph.inserting_before(reader):
                if constant is not None:
                    self._rounded[key] = self._held(source, quantize(constant, number_format))
                else:
                    name = self._unused(f"{ROUNDINGS}.{source.name}")
                    self._add(name, Rounding(number_format))
                    self._rounded[key] = self._graph.call_module(name, (source,))
        return self._rounded[key]

    def _round_states(self, node: fx.Node, number_format: NumberFormat) -> None:
        """Let a recurrent layer round what it hands from step to step."""
        if number_format == FLOAT32:
            return
        name = self._unused(f"{ROUNDINGS}.{node.name}")
        self._add(name, RoundedStates(node.target, number_format))
        with self._graph.inserting_before(node):
            rounded = self._graph.call_module(name, node.args, dict(node.kwargs))
        node.replace_all_uses_with(rounded)

    def _round_edge(self, node: fx.Node, number_format: NumberFormat) -> None:
        """Let everything that reads a value read it rounded."""
        if number_format == FLOAT32:
            return
        name = self._unused(f"{ROUNDINGS}.{node.name}")
        self._add(name, Rounding(number_format))
        last = node if node.op != "placeholder" else self._last_placeholder()
        with self._graph.inserting_after(last):
            rounded = self._graph.call_module(name, (node,))
        node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)

    def _last_placeholder(self) -> fx.Node:
        *_, last = (node for node in self._graph.nodes if node.op == "placeholder")
        assert isinstance(last, fx.Node)
        return last

    def _constant(self, node: fx.Node) -> Tensor | None:
        """The value of a parameter, or of a view of one."""
        if node.op == "placeholder":
            return self._tensors.get(node.name)
        if node.op != "call_function" or len(node.all_input_nodes) != 1:
            return None
        source = self._constant(node.all_input_nodes[0])
        if source is None:
            return None
        assert callable(node.target)
        value: Tensor = node.target(*fx.map_arg(node.args, lambda _: source), **node.kwargs)
        return value

    def _held(self, source: fx.Node, value: Tensor) -> fx.Node:
        """A tensor of the module, under the name of the parameter that it comes from."""
        behind = source
        while behind.op != "placeholder":
            (behind,) = behind.all_input_nodes
        name = self._unused(self._names.get(behind.name, behind.name))
        tensor = value.detach().clone()
        self._add(name, nn.Parameter(tensor, requires_grad=False) if tensor.is_floating_point() else tensor)
        return self._graph.get_attr(name)

    def _unused(self, name: str) -> str:
        """The name, with a number behind it where it is taken, by a tensor or by a part of the module."""
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        return found

    def _add(self, name: str, value: nn.Module | Tensor) -> None:
        *path, own = name.split(".")
        parent = self._root
        for position, part in enumerate(path):
            self._taken.add(".".join(path[: position + 1]))
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        self._taken.add(name)
        if isinstance(value, nn.Module):
            parent.add_module(own, value)
        elif isinstance(value, nn.Parameter):
            parent.register_parameter(own, value)
        else:
            parent.register_buffer(own, value)
