"""Candidates of one architecture as one module: each has weights and formats of its own, all see one batch.

``torch.func`` turns any model into a function of its parameters, and ``vmap`` runs it for all candidates with
one batched product for each layer; chains of known layers do without (``stacked_chain.py``). The parameters
are tensors [C, ...], so that a vector of them is trained as that of one model is. Whatever a candidate's
neighbours are, its sums are its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from narrower.data.arguments import Arguments, each_argument
from narrower.graph.own_copy import own_copy
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sparse import Sparse
from narrower.training.flat import FlatWeights, Leaf
from narrower.training.rounding import Formats, VectorRounding, Zeros
from narrower.training.stacked_chain import chain_steps
from narrower.transform.quantizers.stacked_fixed import FixedTensors, fixed_tensors, round_straight_through
from narrower.transform.recurrent import RoundedStates


class Stack(nn.Module):
    """Copies of models of one kind, stacked; ``write_back`` gives each model what its candidate learnt.

    ``example`` are two samples, which show whether the models are chains.
    """

    _template: nn.Module

    def __init__(self, models: Sequence[nn.Module], formats: Sequence[Formats], example: Arguments) -> None:
        super().__init__()
        self.models, self._formats = list(models), list(formats)
        template = own_copy(models[0])
        object.__setattr__(self, "_template", template)  # its parameters are not those that are trained
        self._names = {name: f"p{n}" for n, name in enumerate(dict(template.named_parameters()))}
        self._buffer_names = {name: f"b{n}" for n, name in enumerate(dict(template.named_buffers()))}
        for name, held in self._names.items():
            own = [model.get_parameter(name) for model in models]
            stacked = torch.stack([parameter.detach() for parameter in own])
            setattr(self, held, nn.Parameter(stacked, requires_grad=own[0].requires_grad))
        for name, held in self._buffer_names.items():
            self.register_buffer(held, torch.stack([model.get_buffer(name) for model in models]))
        self._data = {name: _tensors(formats, name) for name in sorted({n for f in formats for n in f.data})}
        self._steps = chain_steps(template, each_argument(example), self._stacked, self._data, len(models))
        self._now: dict[str, FixedTensors] = {}
        self._one_by_one = has_steps(template)
        for name, module in template.named_modules():
            if isinstance(module, nn.RNNBase):
                RoundedStates(module, self._rounding(name) if name in self._data else None)
            elif name in self._data:
                module.register_forward_pre_hook(self._rounds(name))

    def __len__(self) -> int:
        return len(self.models)

    def modules(self) -> Iterator[nn.Module]:  # type: ignore[override]
        """Also those of the model that all candidates are copies of: their modes are everybody's."""
        yield self
        yield from self._template.modules()

    def train(self, mode: bool = True) -> Self:
        self._template.train(mode)
        return super().train(mode)

    def forward(self, *arguments: Tensor) -> Tensor:
        """The outputs [C, N, O] of all candidates for the same samples."""
        if self._steps is not None:
            (x,) = arguments
            every = x.expand(len(self), *x.shape)
            for step in self._steps:
                every = step(every)
            return every
        parameters = {name: getattr(self, held) for name, held in self._names.items()}
        buffers = {name: getattr(self, held) for name, held in self._buffer_names.items()}
        if self._one_by_one:
            return torch.stack(
                [self._alone(number, parameters, buffers, arguments) for number in range(len(self))]
            )
        call = torch.vmap(self._one, in_dims=(0, 0, 0, None), randomness="different")
        formats = {name: each.tensors for name, each in self._data.items()}
        outputs: Tensor = call(parameters, buffers, formats, arguments)
        return outputs

    def _alone(
        self,
        number: int,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        arguments: tuple[Tensor, ...],
    ) -> Tensor:
        """The outputs of one candidate, where no batched product computes those of all."""
        own, held = ({name: t[number] for name, t in some.items()} for some in (parameters, buffers))
        formats = {
            name: tuple(t[number : number + 1] for t in each.tensors) for name, each in self._data.items()
        }
        outputs: Tensor = self._one(own, held, formats, arguments)
        return outputs

    def _stacked(self, name: str) -> Tensor:
        held: Tensor = getattr(self, self._names.get(name) or self._buffer_names[name])
        return held

    def _one(
        self,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        formats: Mapping[str, tuple[Tensor, ...]],
        arguments: tuple[Tensor, ...],
    ) -> Any:
        """One candidate, or all of them where ``vmap`` calls."""
        self._now = {name: self._data[name].with_tensors(held) for name, held in formats.items()}
        return torch.func.functional_call(self._template, {**parameters, **buffers}, arguments)

    def _rounding(self, name: str) -> Callable[[Tensor], Tensor]:
        return lambda value: round_straight_through(value, self._now[name])

    def _rounds(self, name: str) -> Any:
        def hook(_module: nn.Module, inputs: Any) -> Any:
            return (round_straight_through(inputs[0], self._now[name]), *inputs[1:])

        return hook

    def round_parameters(self, weights: Sequence[FlatWeights]) -> None:
        """Let each candidate see its parameters rounded in its own formats."""
        names = {id(getattr(self, held)): name for name, held in self._names.items()}
        wanted = sorted({name for each in self._formats for name in each.parameters})
        for each in weights:
            parts, zeros, is_rounded = [], [], False  # type: list[FixedTensors], list[Zeros], bool
            for leaf in each.leaves:
                name = names[id(leaf.parameter)]
                is_rounded |= name in wanted
                length = leaf.parameter.numel() // len(self)
                zeros += self._zeros(leaf, name)
                formats = _parameter_tensors(self._formats, name)
                parts.append(formats.each(lambda t, length=length: t.repeat_interleave(length)))
            if is_rounded:
                each.round_with(VectorRounding(_joined(parts), zeros))

    def _zeros(self, leaf: Leaf, name: str) -> list[Zeros]:
        """Where in a vector candidates have a parameter that is sparse."""
        length, shape = leaf.parameter.numel() // len(self), leaf.parameter.shape[1:]
        return [
            Zeros(slice(start, start + length), shape, found)
            for number, each in enumerate(self._formats)
            if isinstance(found := each.parameters.get(name), Sparse)
            for start in (leaf.start + number * length,)
        ]

    def write_back(self) -> None:
        """Give each model the weights and buffers of its candidate."""
        with torch.no_grad():
            for number, model in enumerate(self.models):
                for name, held in self._names.items():
                    model.get_parameter(name).copy_(getattr(self, held)[number])
                for name, held in self._buffer_names.items():
                    model.get_buffer(name).copy_(getattr(self, held)[number])


def can_stack(models: Sequence[nn.Module], formats: Sequence[Formats]) -> bool:
    """Whether the formats can be told apart by tensors alone; otherwise train one candidate at a time."""
    data = {name for each in formats for name in each.data}
    parameters = {name for each in formats for name in each.parameters}
    found = [fixed_tensors([each.data.get(name, FLOAT32) for each in formats]) for name in data]
    found += [fixed_tensors([_dense(each, name) for each in formats]) for name in parameters]
    of_weights = {each.rounding for each in found[len(data) :] if each is not None}
    shapes = [{name: t.shape for name, t in model.state_dict().items()} for model in models]
    return (
        all(each is not None for each in found)
        and len(of_weights) <= 1
        and all(s == shapes[0] for s in shapes)
    )


def has_steps(model: nn.Module) -> bool:
    """Whether a model has a recurrent layer, whose steps no batched product computes for all candidates.

    A stack of such models computes one after the other.
    """
    return any(isinstance(module, nn.RNNBase) for module in model.modules())


def _tensors(formats: Sequence[Formats], layer: str) -> FixedTensors:
    found = fixed_tensors([each.data.get(layer, FLOAT32) for each in formats])
    assert found is not None, "can_stack"
    return found


def _parameter_tensors(formats: Sequence[Formats], name: str) -> FixedTensors:
    found = fixed_tensors([_dense(each, name) for each in formats])
    assert found is not None, "can_stack"
    return found


def _dense(formats: Formats, name: str) -> NumberFormat:
    """The format of a parameter without its zeros."""
    found = formats.parameters.get(name, FLOAT32)
    return found.values if isinstance(found, Sparse) else found


def _joined(parts: Sequence[FixedTensors]) -> FixedTensors:
    """The formats of several stretches of a vector, one after the other."""
    exact = None
    if any(part.exact is not None for part in parts):
        exact = torch.cat(
            [torch.zeros_like(p.factor, dtype=torch.bool) if p.exact is None else p.exact for p in parts]
        )
    return FixedTensors(
        torch.cat([part.factor for part in parts]),
        torch.cat([part.low for part in parts]),
        torch.cat([part.high for part in parts]),
        exact,
        next((p.rounding for p in parts if p.exact is None or not p.exact.all()), "half_even"),
    )
