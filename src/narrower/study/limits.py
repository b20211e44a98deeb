"""Networks and plans that cannot be searched or trained, found before the first trial."""

from collections.abc import Iterable

from torch import nn
from torch.nn.utils import parametrize

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.errors import SettingsError
from narrower.graph.folded_network import layer_of
from narrower.graph.network import Network
from narrower.graph.program import Program

WAY_OUT = "--allow-uncounted, or allow_uncounted = true in [search.strategy.setup]"


def check_counted(network: Network, *, allowed: bool, way_out: str = WAY_OUT) -> None:
    """Check that all products of a network are known.

    Raises:
        SettingsError: they are not, and that is not ``allowed``; ``way_out`` says how to allow it.
    """
    found = [group.name for group in missing(NetworkCost(network)) if group.may_multiply]
    if found and not allowed:
        raise SettingsError(
            f"an unknown share of the macs of {network.name} is in layers that no plan changes: "
            f"{', '.join(found)}; to search all the same: {way_out}"
        )


def check_trainable(model: nn.Module, program: Program, layers: Iterable[str]) -> None:
    """Check that plans for these layers can be trained in their formats.

    Raises:
        SettingsError: the weight of one is computed where training cannot round it.
    """
    searched = set(layers)
    for weight in program.folding.weights if program.folding else ():
        layer = layer_of(weight.name)
        if weight.operand == "weight" and layer in searched and not _is_parametrized(model, layer):
            raise SettingsError(
                f"search.strategy.eval_mode: {layer} computes its weight in its own code, where training "
                "cannot round it: score plans with the model's weights, or let torch.nn.utils.parametrize "
                "compute it"
            )


def _is_parametrized(model: nn.Module, layer: str) -> bool:
    module = dict(model.named_modules()).get(layer)
    return module is not None and parametrize.is_parametrized(module, "weight")
