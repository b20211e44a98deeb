"""Values of a C network in the form in which they are read: as stored, moved, or rounded in a step."""

from typing import Any

import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.device import windows
from narrower.export.device.forms import Form, Forms
from narrower.export.device.loops import ROW, Loops, merged
from narrower.export.device.numbers import type_of_number
from narrower.export.device.round_rows import round_row
from narrower.export.device.roundings import OnEach
from narrower.export.device.rows import Rows
from narrower.export.device.shapes import moved
from narrower.export.device.source import Source, Step, View, contiguous
from narrower.graph.nodes import batch_multiple
from narrower.plan.formats.number_format import NumberFormat


class StoredValues:
    """What the steps have stored, by node and form; what else is read is copied or rounded into place."""

    def __init__(self, source: Source, forms: Forms) -> None:
        self._source, self._forms = source, forms
        self._values: dict[tuple[fx.Node, Form], View] = {}

    def put(self, node: fx.Node, form: Form, view: View) -> None:
        """Say where a value lies."""
        self._values[node, form] = view

    def is_there(self, node: fx.Node) -> bool:
        """Whether a value is stored exactly, or what it is moved from."""
        while self._forms.is_moving(node) and (node, None) not in self._values:
            node = source_of(node)
        return (node, None) in self._values

    def get(self, node: fx.Node, form: Form) -> View:
        """A value in a form; it is moved or rounded where it is not stored so."""
        if (node, form) in self._values:
            return self._values[node, form]
        edge = self._forms.edge(node)
        if self._forms.is_moving(node) and (edge is None or form is None):
            moved = self._move(node, form)
            self._values[node, form] = moved if edge is None else self.rounded_copy(moved, edge, node.name)
        elif edge is not None and form is not None:
            self._values[node, form] = self.rounded_copy(self.get(node, None), form, node.name)
        elif form is not None:
            self._values[node, form] = self._round_stored(node, form)
        else:
            raise AssertionError(f"{node} is read before it is written")
        return self._values[node, form]

    def _move(self, node: fx.Node, form: Form) -> View:
        source = source_of(node)
        view = self.get(source, self._stored_form(source, form))
        if form is not None and self._stored_form(source, form) is None:
            shown = self._shown(node, view)
            return self.rounded_copy(shown, form, node.name)
        return self._shown(node, view)

    def _stored_form(self, source: fx.Node, form: Form) -> Form:
        """The form in which what is moved can be had: rounded where it is stored so."""
        while self._forms.is_moving(source) and self._forms.edge(source) is None:
            source = source_of(source)
        return form if (source, form) in self._values else None

    def _shown(self, node: fx.Node, view: View) -> View:
        if windows.is_first_of_pair(node):
            return view
        sizes = lambda n: None if n is node.args[0] else batch_of_one(n)  # noqa: E731
        arguments: Any = fx.map_arg(node.args, sizes)
        shown = moved(view, node, tuple(arguments))
        if shown is None:
            shown = moved(self._copied(view, node.name), node, tuple(arguments))
            assert shown is not None
        return shown

    def contiguous(self, node: fx.Node, form: Form) -> View:
        """The same without gaps."""
        view = self.get(node, form)
        if view.is_contiguous:
            return view
        copied = self._copied(view, node.name)
        self._values[node, form] = copied
        return copied

    def _copied(self, view: View, name: str) -> View:
        target = self._source.buffer(type_of_number(view.number), view.shape, view.number)
        return self.copied_into(target, view, f"copy_{identifier(name)}")

    def copied_into(self, target: View, view: View, name: str) -> View:
        """Write the step that copies a value."""
        step = Step(f"step_{len(self._source.steps)}_{name}")
        rows = Rows(self._source, step, walk(view.shape, [view.strides]), view.number)
        rows.load(view)
        rows.store(target)
        rows.end()
        self._source.steps.append(step)
        return target

    def _round_stored(self, node: fx.Node, form: NumberFormat) -> View:
        return self.rounded_copy(self.get(node, None), form, node.name)

    def rounded_copy(self, view: View, form: NumberFormat, name: str) -> View:
        """Write the step that rounds a value into a format."""
        rounding = self._forms.rounding(form, name)
        step = Step(f"step_{len(self._source.steps)}_round_{identifier(name)}")
        each = isinstance(rounding, OnEach)
        strides = [view.strides, *([(0,) * (len(view.shape) - 1) + (1,)] if each else [])]
        rows = Rows(self._source, step, walk(view.shape, strides), view.number)
        rows.load(view)
        round_row(rows, rounding)
        target = self._source.buffer(type_of_number(rows.number), view.shape, rows.number)
        rows.store(target)
        rows.end()
        self._source.steps.append(step)
        return target


def walk(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> Loops:
    """Loops over all elements of what has these strides."""
    full = shape or (1,)
    known = [s for s in strides if len(s) == len(shape)]
    return Loops(full, merged(full, [s or (1,) for s in (*known, contiguous(shape))]), ROW)


def source_of(node: fx.Node) -> fx.Node:
    """What an operator reads first."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return source


def batch_of_one(node: fx.Node) -> int:
    """A size for one sample."""
    value = node.meta.get("val")
    if isinstance(value, int):
        return value
    if isinstance(value, torch.SymInt):
        return batch_multiple(value)
    raise ExportError(f"{node.name}: a size that is computed from values; C has constants")


def identifier(name: str) -> str:
    """A name that C accepts."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_") or "value"
