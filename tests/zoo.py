"""Small models of many shapes: what graphs, plans, widths and exports must be able to deal with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two convolutions around an addition, with batch norm and a projection on the way around."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.norm(self.stem(x)))
        y = self.left(x)
        y += self.right(x)
        return self.head(F.relu(y).mean(dim=(2, 3)))


class Concatenated(nn.Module):
    """Branches that are joined by cat, one of them used once more."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(12, 6)
        self.right = nn.Linear(12, 4)
        self.middle = nn.Linear(10, 6)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([torch.relu(self.left(x)), torch.tanh(self.right(x))], dim=1)
        return self.head(torch.cat([joined, self.middle(joined)], dim=1))


class Attention(nn.Module):
    """A transformer encoder layer over a sequence, and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


class Shared(nn.Module):
    """One layer used twice, at two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 8)
        self.shared = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        return self.head(torch.relu(self.shared(torch.relu(self.shared(x)) + x)))


class Views(nn.Module):
    """In-place operators on views, which must not reach values that others still need."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 8)
        self.second = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        halves = x.view(x.shape[0], 2, 4)
        halves[:, 0].mul_(0.5)
        return self.head(self.second(x.relu_()).add_(halves.flatten(1)))


class Convolution1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.pool = nn.MaxPool1d(2)
        self.head = nn.Linear(6 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(torch.relu(self.norm(self.first(x)))).flatten(1))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (3, 6, 6)),
    "concatenated": (Concatenated, (12,)),
    "attention": (Attention, (7, 6)),
    "shared": (Shared, (12,)),
    "views": (Views, (12,)),
    "convolution1d": (Convolution1d, (3, 8)),
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode with used batch norms, and 40 samples for it."""
    make, shape = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, inputs = make(), torch.randn(40, *shape)
        model.train()
        with torch.no_grad():
            model(inputs)
    return model.eval(), inputs
