"""Sizes that a module keeps in whole numbers of its own, beside its parameters: ``num_heads``, ``n_embd``."""

from dataclasses import dataclass

from torch import nn

from narrower.errors import ModelError

_CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, slots=True)
class OwnSize:
    """An attribute that holds ``value`` while a family of channels has so many units, and grows with them."""

    path: str
    attribute: str
    value: int
    family: int
    units: int

    def at(self, units: int) -> int:
        """The attribute at another number of units.

        Raises:
            ModelError: it would be no whole number.
        """
        new, rest = divmod(self.value * units, self.units)
        if rest:
            raise ModelError(f"{self.path}.{self.attribute} would be {self.value * units / self.units:g}")
        return new


def own_sizes(model: nn.Module) -> dict[str, int]:
    """Every whole number that modules of the user's classes keep, by its name."""
    return {
        f"{path}.{attribute}" if path else attribute: value
        for path, module in model.named_modules()
        if keeps_own_sizes(module)
        for attribute, value in vars(module).items()
        if type(value) is int
    }


def keeps_own_sizes(module: nn.Module) -> bool:
    """Whether a module's class is none of PyTorch's layers, nor made of one: the sizes of these are known."""
    return not type(module).__module__.startswith("torch.") and not any(
        base.__module__.startswith("torch.nn.modules.") and base not in _CONTAINERS
        for base in type(module).__mro__
    )


def set_own_size(model: nn.Module, name: str, value: int) -> None:
    """Give an attribute of a module another whole number, where it holds one."""
    path, _, attribute = name.rpartition(".")
    module = model.get_submodule(path)
    if type(vars(module).get(attribute)) is int:
        setattr(module, attribute, value)
