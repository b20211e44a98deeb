"""Networks at random: blocks of many kinds after one another, for images, sequences in channels, and rows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Chance = np.random.Generator
Shape = tuple[int, ...]
Block = tuple[nn.Module, Shape]


class Around(nn.Module):
    """``x`` joined with what a branch makes of it: added, subtracted, multiplied or side by side."""

    def __init__(self, branch: nn.Module, how: str, after: nn.Module) -> None:
        super().__init__()
        self.branch, self.how, self.after = branch, how, after

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        joined = {
            "add": lambda: x + y,
            "subtract": lambda: y - x,
            "multiply": lambda: x * y,
            "larger": lambda: torch.maximum(x, y),
            "beside": lambda: torch.cat([x, y], 1),
        }[self.how]()
        result: Tensor = self.after(joined)
        return result


class Gated(nn.Module):
    """Channels times a number of each that a small network makes of their means (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, 3), nn.Linear(3, channels)

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(2, x.dim()))
        gate = F.hardtanh(self.up(F.relu(self.down(x.mean(axes)))), 0.0, 1.0)
        return x * gate.reshape(*gate.shape, *(1 for _ in axes))


class Padded(nn.Module):
    """Zeros on the sides, more of them behind than before."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 1) * self.rank)


class Shuffled(nn.Module):
    """Channels of two halves in turn."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


def smooth(chance: Chance) -> nn.Module:
    """A function of one number."""
    choices: list[Callable[[], nn.Module]] = [
        nn.ReLU, nn.ReLU, nn.ReLU6, nn.Identity, nn.Hardtanh, lambda: nn.LeakyReLU(0.125), nn.PReLU,
        nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ELU, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish,
    ]  # fmt: skip
    return choices[chance.integers(len(choices))]()


def simple(chance: Chance) -> nn.Module:
    """A function of one number that C computes without knowing who reads it."""
    choices: list[Callable[[], nn.Module]] = [
        nn.ReLU, nn.ReLU6, nn.Identity, nn.Hardtanh, lambda: nn.LeakyReLU(0.2),
    ]  # fmt: skip
    return choices[chance.integers(len(choices))]()


def convolution(chance: Chance, rank: int, shape: Shape, made: int, *, same: bool = False) -> Block:
    """A convolution that is dense, depthwise or grouped, with or without a batch norm."""
    channels = shape[0]
    kinds = [1, channels, *(g for g in (2, 3) if channels % g == 0 and made % g == 0)]
    groups = int(chance.choice(kinds)) if made % channels == 0 else 1
    kernel, dilation = int(chance.choice([1, 3, 3, 5])), 1 if same else int(chance.integers(1, 3))
    stride = 1 if same else int(chance.integers(1, 3))
    padding = kernel // 2 if same or min(shape[1:]) <= dilation * kernel else int(chance.integers(0, 2))
    if padding == kernel // 2:
        dilation = 1
    kind = (nn.Conv1d, nn.Conv2d)[rank - 1]
    layer = kind(channels, made, kernel, stride, padding, dilation, groups, bias=bool(chance.integers(2)))
    with torch.no_grad():
        after = layer(torch.zeros(1, *shape)).shape[1:]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d)[rank - 1](made)
    return nn.Sequential(layer, norm) if chance.random() < 0.5 else layer, tuple(after)


def block(chance: Chance, rank: int, shape: Shape) -> Block:
    """One block, and the shape that it makes of a sample."""
    channels = shape[0]
    kind = str(chance.choice(["plain", "plain", "around", "beside", "pool", "gate", "pad", "shuffle"]))
    if kind == "plain":
        made = channels * 2 if chance.random() < 0.3 else int(chance.integers(2, 7))
        layer, after = convolution(chance, rank, shape, made)
        # The last layer reads what a table gives: C rounds that as it is read.
        read = (nn.Conv1d, nn.Conv2d)[rank - 1](made, made, 1)
        return nn.Sequential(layer, smooth(chance), read), after
    if kind in ("around", "beside"):
        branch, after = convolution(chance, rank, shape, channels, same=True)
        how = "beside" if kind == "beside" else str(chance.choice(["add", "subtract", "multiply", "larger"]))
        branch = nn.Sequential(branch, simple(chance))
        return Around(branch, how, simple(chance)), (channels * (1 + (how == "beside")), *after[1:])
    if kind == "pool" and min(shape[1:]) > 3:
        pools = [(nn.MaxPool1d, nn.AvgPool1d), (nn.MaxPool2d, nn.AvgPool2d)][rank - 1]
        size, stride = int(chance.integers(2, 4)), int(chance.integers(1, 3))
        pool = pools[chance.integers(2)](size, stride, padding=int(chance.integers(0, 2)))
        return pool, tuple(pool(torch.zeros(1, *shape)).shape[1:])
    if kind == "gate":
        return Gated(channels), shape
    if kind == "pad":
        return Padded(rank), (channels, *(size + 1 for size in shape[1:]))
    if kind == "shuffle" and channels % 2 == 0:
        return Shuffled(), shape
    return simple(chance), shape


def spatial(chance: Chance) -> tuple[nn.Module, Shape]:
    """Blocks over an image or a sequence, and a linear layer."""
    rank = int(chance.integers(1, 3))
    size = int(chance.integers(5, 9))
    shape: Shape = (int(chance.integers(1, 5)), *(int(chance.integers(size, size + 3)) for _ in range(rank)))
    first = shape
    blocks: list[nn.Module] = [(nn.Conv1d, nn.Conv2d)[rank - 1](shape[0], 4, 1)]
    shape = (4, *shape[1:])
    for _ in range(int(chance.integers(2, 5))):
        made, shape = block(chance, rank, shape)
        blocks.append(made)
    if chance.random() < 0.5:
        blocks.append((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[rank - 1](1))
        shape = (shape[0], *(1 for _ in shape[1:]))
    blocks.append(nn.Flatten())
    return nn.Sequential(*blocks, nn.Linear(int(np.prod(shape)), 4)), first


def rows(chance: Chance) -> tuple[nn.Module, Shape]:
    """Linear layers over a vector, or over each row of a matrix, some with a way around."""
    held = int(chance.integers(3, 40))
    shape: Shape = (held,) if chance.random() < 0.7 else (int(chance.integers(2, 5)), held)
    blocks: list[nn.Module] = []
    for _ in range(int(chance.integers(1, 4))):
        after = int(chance.integers(3, 40))
        is_flat = len(shape) == 1
        blocks += [nn.Linear(held, after, bias=bool(chance.integers(2)))]
        blocks += [nn.BatchNorm1d(after)] if is_flat and chance.random() < 0.4 else []
        blocks += [smooth(chance), nn.Linear(after, after)]
        if is_flat and chance.random() < 0.5:
            how = str(chance.choice(["add", "subtract", "multiply", "larger", "beside"]))
            branch = nn.Sequential(nn.Linear(after, after), simple(chance))
            blocks.append(Around(branch, how, simple(chance)))
            after *= 1 + (how == "beside")
        held = after
    blocks += [nn.Flatten()] if len(shape) > 1 else []
    last = held * (shape[0] if len(shape) > 1 else 1)
    return nn.Sequential(*blocks, nn.Linear(last, 4)), shape


def random_network(seed: int) -> tuple[nn.Module, Tensor, Chance]:
    """A network in evaluation mode whose batch norms have seen samples, 40 samples, and the chance."""
    chance = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, shape = (spatial if seed % 3 else rows)(chance)
        inputs = torch.randn(40, *shape) * float(chance.choice([0.5, 1.0, 3.0]))
        model.train()
        with torch.no_grad():
            model(inputs)
    return model.eval(), inputs, chance
