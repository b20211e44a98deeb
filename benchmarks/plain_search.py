"""The search that anybody would write with PyTorch and Optuna, in a process of its own; times on stdout.

    python benchmarks/plain_search.py WEIGHTS SAMPLES TRIALS

A loop of ask and tell with Optuna's TPE (its defaults), both objectives at once. Each trial copies jsc-toy,
puts a layer in the place of each linear one that rounds its input, weight and bias in every call, and runs it
on SAMPLES jets for accuracy and loss. That is how MASE/chop scores a plan, and all that a plan needs: what
MASE/chop does besides, before the first trial and in each one, is left out, so that it takes longer than
this. Nothing of this project is imported; weights and samples come from one file.
"""

import copy
import json
import sys
import time

import optuna
import torch
from optuna.trial import Trial
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = list(range(2, 9))
BIAS_WIDTHS = [4, 8]


def rounded(x: Tensor, width: int) -> Tensor:
    """To fixed point with half of the bits behind the point."""
    scale = 2.0 ** (width // 2)
    limit = 2.0 ** (width - 1)
    return torch.clamp(torch.round(x * scale), -limit, limit - 1) / scale


class Rounding(nn.Module):
    """A linear layer that rounds its operands whenever it is called."""

    def __init__(self, layer: nn.Linear, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.layer, self.widths = layer, widths

    def forward(self, x: Tensor) -> Tensor:
        data, weight, bias = self.widths
        layer = self.layer
        return F.linear(rounded(x, data), rounded(layer.weight, weight), rounded(layer.bias, bias))


def network() -> nn.Sequential:
    """jsc-toy: 16, 8, 8 and 5 channels."""
    blocks: list[nn.Module] = [nn.BatchNorm1d(16), nn.ReLU()]
    for inputs, outputs in ((16, 8), (8, 8), (8, 5)):
        blocks += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*blocks)


def searched(model: nn.Sequential, inputs: Tensor, targets: Tensor, trials: int) -> list[float]:
    """When each trial ended."""
    layers = [number for number, layer in enumerate(model) if isinstance(layer, nn.Linear)]

    def asked(trial: Trial, layer: int) -> tuple[int, int, int]:
        data, weight = (trial.suggest_categorical(f"{layer}.{what}", WIDTHS) for what in ("data", "weight"))
        return data, weight, trial.suggest_categorical(f"{layer}.bias", BIAS_WIDTHS)

    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=0)
    )
    ended = []
    for _ in range(trials):
        trial = study.ask()
        candidate, bits, entries = copy.deepcopy(model), 0, 0
        for number in layers:
            layer, widths = candidate[number], asked(trial, number)
            bits += widths[1] * layer.weight.numel() + widths[2] * layer.bias.numel()
            entries += layer.weight.numel() + layer.bias.numel()
            candidate[number] = Rounding(layer, widths)
        with torch.no_grad():
            outputs = candidate.eval()(inputs)
            accuracy = (outputs.argmax(dim=1) == targets).double().mean().item()
            trial.set_user_attr("loss", F.cross_entropy(outputs, targets).item())
        study.tell(trial, [accuracy, bits / entries])
        ended.append(time.time())
    return ended


def main() -> None:
    weights, samples, trials = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    held = load_file(weights)
    inputs, targets = held.pop("inputs")[:samples], held.pop("targets")[:samples]
    model = network()
    model.load_state_dict({name.removeprefix("seq_blocks."): tensor for name, tensor in held.items()})
    ended = searched(model, inputs, targets, trials)
    print(json.dumps({"first": ended[0], "last": ended[-1]}))


if __name__ == "__main__":
    main()
