"""A copy of a model that shares nothing with it, whatever computes its weights."""

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

Model = TypeVar("Model", bound=nn.Module)


def own_copy(model: Model, shared: Iterable[Tensor] = ()) -> Model:
    """As ``copy.deepcopy``, also where that falls short.

    It refuses the tensors that hooks such as ``nn.utils.weight_norm`` compute in each call; these are no
    parameters, and the copy computes its own. Copies of a parametrized module share their class, to which a
    further parametrization adds properties; here each has a class of its own. ``shared`` are not copied.
    """
    computed = (
        value
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    )
    memo = {id(tensor): tensor for tensor in shared}
    memo |= {id(value): value.detach().clone() for value in computed}
    copied = copy.deepcopy(model, memo)
    for module in copied.modules():
        if parametrize.is_parametrized(module):
            kind = type(module)
            own = {
                name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")
            }
            module.__class__ = type(kind.__name__, kind.__bases__, own)
    return copied
