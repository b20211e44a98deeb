"""In which form each value of a network is stored: exact, or rounded as its readers agree to read it."""

from collections.abc import Container

from torch import fx

from narrower.errors import ExportError
from narrower.export.device import joins, windows
from narrower.export.device.roundings import DataRounding, OnEach, data_rounding, refused_data
from narrower.export.device.shapes import MOVING
from narrower.graph.nodes import base_name, rounded_operand
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan

Form = NumberFormat | None  # None: the exact value
IN_ORDER = ("reshape", "view", "_unsafe_view", "flatten", "unflatten")


class Forms:
    """Answers for one program and plan; ``constants``: the nodes that no input reaches, as they are found."""

    def __init__(self, program: Program, plan: Plan, constants: Container[fx.Node]) -> None:
        self._program, self._plan, self._constants = program, plan, constants
        self._roundings: dict[NumberFormat, DataRounding] = {}
        self._needed: dict[fx.Node, frozenset[Form]] = {}

    def _needs(self, node: fx.Node) -> frozenset[Form]:
        """The forms in which others read a value."""
        if node not in self._needed:
            needs: set[Form] = set()
            for user in node.users:
                if user.op == "output":
                    needs.add(None)
                elif self.is_moving(user):
                    needs |= {None} if self.edge(user) is not None else self._through(user)
                elif user.op == "call_function" and base_name(user) != "sym_size":
                    needs.add(self.need_of(user, node))
            self._needed[node] = frozenset(needs)
        return self._needed[node]

    def _through(self, user: fx.Node) -> set[Form]:
        """What the readers of a moved value need of the one that is moved."""
        forms: set[Form] = set()
        for form in self._needs(user):
            same_order = base_name(user) in IN_ORDER
            each = form is not None and isinstance(self.rounding(form, user.name), OnEach)
            forms.add(None if each and not same_order else form)
        return forms or {None}

    def need_of(self, user: fx.Node, source: fx.Node) -> Form:
        """The form in which one reader reads a value."""
        slot = rounded_operand(user, source, self._program.tensors)
        if slot is not None and slot[1] == "data":
            return self.data(slot[0])
        if windows.keeps_order(user) or joins.is_join(user):
            return self.stored(user)
        is_late_relu = base_name(user) == "relu" and (self.is_moving(source) or windows.keeps_order(source))
        form = self.stored(user) if is_late_relu else None
        return form if isinstance(form, FixedPoint) and form.overflow != "wrap" else None

    def stored(self, node: fx.Node) -> Form:
        """The form in which a value is stored: that of its readers where they agree.

        An edge is rounded for all that read it: what is stored is its exact value.
        """
        if self.edge(node) is not None:
            return None
        needs = self._needs(node)
        if len(needs) != 1:
            return None
        (form,) = needs
        if (
            form is not None
            and (joins.is_join(node) or windows.keeps_order(node))
            and isinstance(self.rounding(form, node.name), OnEach)
        ):
            return None
        return form

    def data(self, layer: str) -> Form:
        """The form in which a product reads its data; None: as they are, where the plan rounds edges."""
        chosen = self._plan.layer(layer).data
        return None if chosen == FLOAT32 and self._plan.outputs else chosen

    def edge(self, node: fx.Node) -> Form:
        """The format into which a plan rounds what a node writes.

        Raises:
            ExportError: C cannot hold it; the message names edge and format.
        """
        name = node.meta.get("edge")
        chosen = FLOAT32 if name is None else self._plan.layer(name).output
        if chosen == FLOAT32:
            return None
        if reason := refused_data(chosen):
            raise ExportError(f"{name}: its output is {chosen.text}: {reason}")
        if isinstance(self.rounding(chosen, name or ""), OnEach):
            raise ExportError(f"{name}: its output is {chosen.text}: C has one step for all that is read")
        return chosen

    def is_moving(self, node: fx.Node) -> bool:
        """Whether a node only shows a computed value in another order or shape."""
        return (
            node.op == "call_function"
            and (base_name(node) in MOVING or windows.is_first_of_pair(node))
            and node not in self._constants
        )

    def rounding(self, form: NumberFormat, layer: str) -> DataRounding:
        """How C rounds into a format that a layer reads."""
        if form not in self._roundings:
            self._roundings[form] = data_rounding(form, layer)
        return self._roundings[form]
