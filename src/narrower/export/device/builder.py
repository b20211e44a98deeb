"""From a lowered program and a plan to the steps of a C network.

A product, with all that is computed from its sums alone, is one step; its result is stored as it is read: as
whole numbers in a product's format where that is the only reader, else exactly.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.device import elementwise, joins, means, softmax, windows
from narrower.export.device.chains import chain_behind
from narrower.export.device.forms import Form, Forms
from narrower.export.device.lookups import lookup
from narrower.export.device.numbers import Real, Whole, type_of_number
from narrower.export.device.packing import Pack
from narrower.export.device.products import product_rows
from narrower.export.device.results import gives_result, result_of
from narrower.export.device.round_rows import round_row
from narrower.export.device.roundings import OnEach, holds
from narrower.export.device.rows import Rows
from narrower.export.device.shapes import sample_shape
from narrower.export.device.source import Source, Step, View
from narrower.export.device.stored_values import StoredValues, identifier, source_of, walk
from narrower.export.shapes import with_shapes
from narrower.graph.network import PRODUCT_KINDS
from narrower.graph.nodes import base_name, kind_of
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize

Floats = NDArray[np.float64]
OUTPUT = FixedPoint(24, 8, rounding="half_up")  # of a function that only a table can give


class Builder:
    """Writes the steps of a network into ``source``; ``output`` is the view of its result.

    Raises:
        ExportError: C cannot hold the network or the plan; the message names the layer or operator.
    """

    def __init__(self, program: Program, plan: Plan, pack: Pack) -> None:
        if program.untraced is not None:
            raise ExportError(f"{program.untraced.reason}; without a graph there is no C to write")
        if len(program.input_names) != 1:
            raise ExportError(f"the network has {len(program.input_names)} inputs; C is written for one")
        self._program = with_shapes(program)
        self._plan, self._pack = plan, pack
        self.source = Source()
        self._constants: dict[fx.Node, Tensor] = {}
        self._absorbed: set[fx.Node] = set()
        self._forms = Forms(self._program, plan, self._constants)
        self._values = StoredValues(self.source, self._forms)
        self._sums = means.position_sums(self._program.graph)
        self._result = result_of(self._program.graph)
        self.is_output_rounded = False
        for node in self._program.graph.nodes:
            self._compute_constant(node)
        for node in self._program.graph.nodes:
            self._visit(node)
        self.output = self._finish()

    # walking through the program

    def _compute_constant(self, node: fx.Node) -> None:
        """Before all steps: a product takes what follows it along only where other operands are there."""
        if node.op == "placeholder" and node.name in self._program.tensors:
            self._constants[node] = self._program.tensors[node.name]
        elif node.op == "call_function" and node.all_input_nodes and base_name(node) != "sym_size":
            if not all(source in self._constants for source in node.all_input_nodes):
                return
            arguments: Any = fx.map_arg((node.args, dict(node.kwargs)), lambda n: self._constants[n])
            with torch.inference_mode():
                self._constants[node] = node.target(*arguments[0], **arguments[1])  # type: ignore[operator]

    def _visit(self, node: fx.Node) -> None:
        if node in self._constants or node in self._absorbed or base_name(node) == "sym_size":
            return
        if node.op == "placeholder":
            self._enter(node)
        elif node.op == "call_function" and not self._forms.is_moving(node):
            self._begin(node)

    def _enter(self, node: fx.Node) -> None:
        value = node.meta["val"]
        if not value.dtype.is_floating_point:
            raise ExportError(f"the input {node.name} holds {value.dtype}; C is written for real numbers")
        view, edge = self.source.buffer("float", sample_shape(node), Real(), "input"), self._forms.edge(node)
        if edge is not None:
            view = self._values.rounded_copy(view, edge, node.name)
        self._values.put(node, None, view)

    def _begin(self, node: fx.Node) -> None:
        """Write the step that begins at a node, with all that follows from its result alone."""
        kind = kind_of(node)
        step = Step(f"step_{len(self.source.steps)}_{identifier(node.meta.get('layer', node.name))}")
        if node in self._sums and self._sum(self._sums[node], step):
            return
        if kind in PRODUCT_KINDS:
            rows = product_rows(
                self.source, step, node, self._plan, self._pack, self._forms, self._values, self._constants
            )
        elif windows.is_window(node):
            form = self._forms.stored(node) if windows.keeps_order(node) else None
            rows = windows.begin(self.source, step, node, self._values.contiguous(source_of(node), form))
            if form is not None:
                self._end(rows, node, form, rounded=True)
                return
        elif softmax.is_softmax(node):
            self._softmax(node, step)
            return
        elif joins.is_join(node):
            form = self._forms.stored(node)
            views = [self._values.get(source, form) for source in joins.sources(node)]
            joined, edge = joins.write(self.source, step, node, views), self._forms.edge(node)
            self.source.steps.append(step)
            if edge is not None and not holds(self._forms.rounding(edge, node.name), joined.number):
                joined = self._values.rounded_copy(joined, edge, node.name)
            self._values.put(node, form, joined)
            return
        elif elementwise.is_known(node) or base_name(node) in elementwise.TABLES:
            if self._relu_in_steps(node, step):
                return
            self._elementwise(node, step)
            return
        else:
            raise ExportError(f"C has no rule for the operator {node.target} ({node.name})")
        self._follow(rows, [node], self._behind(node))

    def _sum(self, found: means.PositionSum, step: Step) -> bool:
        """The sum of all positions of a channel."""
        if not self._values.is_there(found.source):
            return False
        view = self._values.contiguous(found.source, None)
        self._absorbed |= found.inside
        self._follow(means.begin(self.source, step, view), [found.total], self._behind(found.total))
        return True

    def _sum_behind(self, node: fx.Node, rows: Rows) -> means.PositionSum | None:
        """The sum that alone reads a node, where a row is all that it adds up, as it is."""
        if (
            self._forms.edge(node) is not None
            or self._forms.stored(node) is not None
            or not means.holds_a_channel(rows.loops)
        ):
            return None
        for found in self._sums.values():
            users = {user for user in node.users if base_name(user) != "sym_size"}
            if found.source is node and users <= found.inside:
                return found
        return None

    def _softmax(self, node: fx.Node, step: Step) -> None:
        if not gives_result(node, self._result, self._forms):
            raise ExportError(f"{node.name}: a softmax that others read; C has it as the last operator")
        if self._forms.edge(node) is not None:
            raise ExportError(f"{node.name}: its result is an edge that is rounded; C gives it in 2**-16")
        rows = softmax.begin(self.source, step, node, self._values.get(source_of(node), None))
        self.is_output_rounded = True
        self._end(rows, node, softmax.OUTPUT, rounded=True)

    def _relu_in_steps(self, node: fx.Node, step: Step) -> bool:
        """A ReLU behind a pooling, on numbers that are rounded already."""
        form, source = self._forms.stored(node), node.args[0]
        if base_name(node) != "relu" or form is None or self._forms.need_of(node, source) != form:  # type: ignore[arg-type]
            return False
        view = self._values.get(source, form)  # type: ignore[arg-type]
        rows = Rows(self.source, step, walk(view.shape, [view.strides]), view.number)
        rows.load(view)
        rows.bound_whole(0, None)
        self._end(rows, node, form, rounded=True)
        return True

    def _behind(self, node: fx.Node) -> list[fx.Node]:
        return chain_behind(node, self._forms, self._values, self._constants)

    def _elementwise(self, node: fx.Node, step: Step) -> None:
        """A step that begins with stored values."""
        sources = [s for s in node.args if isinstance(s, fx.Node) and s not in self._constants]
        shape = sample_shape(node)
        first = next((s for s in sources if sample_shape(s) == shape), None)
        if first is None:
            raise ExportError(f"{node.name}: no operand has the shape of its result; C has no rule for that")
        view = self._values.get(first, None)
        chain = [node, *self._behind(node)]
        strides = [view.strides]
        before = first
        for each in chain:
            for other in each.args:
                if other is not before:
                    operand = self._operand(each, other)
                    if operand is not None:
                        strides.append(elementwise.strides_over(shape, operand))
            before = each
        rows = Rows(self.source, step, walk(shape, strides), view.number)
        rows.load(view)
        self._follow(rows, [first], chain)

    def _operand(self, node: fx.Node, other: Any) -> elementwise.Operand | None:
        """An operand that is not the row: a constant, or a stored value."""
        if not isinstance(other, fx.Node):
            return elementwise.number_of(other) if base_name(node) not in elementwise.TABLES else None
        if other not in self._constants:
            view = self._values.get(other, None)
            return elementwise.expanded(view, sample_shape(node))
        held = self._constants[other]
        if "bias_of" in node.meta and other is node.args[1]:
            held = quantize(held, self._plan.layer(node.meta["bias_of"]).bias)
        values = held.detach().float().double().numpy()
        rank = len(sample_shape(node))
        if base_name(node) == "prelu" and values.size > 1:  # a slope for each channel
            values = values.reshape(-1, *(1,) * (rank - 1))
        elif values.ndim > rank:
            values = values[0]
        return np.asarray(values)

    def _follow(self, rows: Rows, before: list[fx.Node], chain: list[fx.Node]) -> None:
        """Write what follows a row, and store its result."""
        node = before[-1]
        for position, following in enumerate(chain):
            self._absorbed.add(following)
            if base_name(following) in elementwise.TABLES:
                self._look_up(rows, node, chain[position:])
                return
            others = [a for a in following.args if a is not node]
            operand = (
                self._operand(following, others[0])
                if others and elementwise.takes_operand(following)
                else None
            )
            if operand is None and sum(a is node for a in following.args) > 1:
                operand = self._values.get(node, None)
            elementwise.apply(rows, following, operand, first=following.args[0] is node)
            node = following
        summed = self._sum_behind(node, rows)
        if summed is None:
            self._end(rows, node, self._forms.stored(node))
            return
        self._absorbed |= summed.inside
        means.shorten(rows)
        self._follow(rows, [summed.total], self._behind(summed.total))

    def _look_up(self, rows: Rows, first: fx.Node, chain: list[fx.Node]) -> None:
        """A function of one number, with what follows it, as a table."""
        last = chain[-1]
        form = self._forms.edge(last) or self._forms.stored(last)
        if form is None and gives_result(last, self._result, self._forms):
            self.is_output_rounded = True
            form = OUTPUT
        if form is None:
            raise ExportError(f"{chain[0].name}: its result is not rounded: no table of C can hold it")
        rounding = self._forms.rounding(form, last.name)
        table = lookup(first, chain, self._constants, form, rounding)
        rows.to_real()
        least, most = (end(keepdims=True) for end in (table.values.min, table.values.max))
        rows.table(table, Whole(rounding.number.frac, least, most, scale=rounding.number.scale))
        self._absorbed.update(chain)
        self._end(rows, last, form, rounded=True)

    def _end(self, rows: Rows, node: fx.Node, form: Form, *, rounded: bool = False) -> None:
        """Round the row into the form in which it is stored, and store it."""
        shape, edge = sample_shape(node), self._forms.edge(node)
        wanted = form if edge is None else edge
        if wanted is not None and not rounded:
            rounding = self._forms.rounding(wanted, node.name)
            if isinstance(rounding, OnEach):
                rounding = rounding.reshaped(shape)
            round_row(rows, rounding)
        form = None if edge is not None else form
        is_result = gives_result(node, self._result, self._forms)
        if is_result:
            if isinstance(rows.number, Whole) and rows.number.scale != 1.0:
                rows.to_real()
            kind = "float" if isinstance(rows.number, Real) else "int32_t"
            view = self.source.buffer(kind, shape, rows.number, "output")
        else:
            view = self.source.buffer(type_of_number(rows.number), shape, rows.number)
        rows.store(view)
        rows.end()
        self.source.steps.append(rows.step)
        self._values.put(node, form, view)
        if is_result and form is not None:
            self._values.put(node, None, view)

    def _finish(self) -> View:
        view = self._values.get(self._result, None)
        if view.buffer.name == "output" and view.is_contiguous:
            return view
        kind = "float" if isinstance(view.number, Real) else "int32_t"
        target = self.source.buffer(kind, view.shape, view.number, "output")
        return self._values.copied_into(target, view, "output")
