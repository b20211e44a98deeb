"""Models whose channels are tied in many ways: what resizing must be able to deal with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Depthwise(nn.Module):
    """An inverted bottleneck without its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.first_norm = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.depthwise, self.second_norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.project, self.head = nn.Conv2d(8, 12, 1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.first_norm(self.expand(x)))
        x = F.relu6(self.project(F.relu6(self.second_norm(self.depthwise(x)))))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """Each block is joined to all that came before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
        self.second = nn.Sequential(nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 4, 3, padding=1))
        self.transition, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.first(x)], dim=1)
        x = torch.cat([x, self.second(x)], dim=1)
        return self.head(F.avg_pool2d(self.transition(x), 6).flatten(1))


class UNet(nn.Module):
    """Down, up again by a transposed convolution, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.bottom = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.fuse = nn.ConvTranspose2d(16, 8, 2, stride=2), nn.Conv2d(16, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        left = torch.relu(self.down(x))
        right = self.up(torch.relu(self.bottom(F.max_pool2d(left, 2))))
        return self.out(torch.relu(self.fuse(torch.cat([left, right], dim=1))))


class SqueezeExcite(nn.Module):
    """Channels that are weighed by what their means say."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.squeeze, self.excite, self.head = nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return self.head((x * scale[:, :, None, None]).mean(dim=(2, 3)))


class Grouped(nn.Module):
    """A convolution in two groups, and a group norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grouped = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.norm, self.head = nn.GroupNorm(2, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.grouped(torch.relu(self.stem(x))))).mean(dim=(2, 3)))


class PixelShuffled(nn.Module):
    """Channels that become height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shuffle, self.out = (
            nn.Conv2d(3, 16, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.shuffle(torch.relu(self.stem(x))))


class TiedEmbedding(nn.Module):
    """An embedding whose weight is that of the output layer as well."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.middle, self.out = nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 20, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.middle(self.embed(x))).mean(dim=1))


class HandWrittenHeads(nn.Module):
    """Attention whose number of heads follows from the width."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.packed, self.out = nn.Linear(6, 16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        batch, tokens, _ = x.shape
        heads = [
            part.reshape(batch, tokens, -1, 4).transpose(1, 2) for part in self.packed(x).chunk(3, dim=-1)
        ]
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        return self.head(self.norm(x + self.out(mixed.transpose(1, 2).flatten(2))).mean(dim=1))


class SharedConvolution(nn.Module):
    """One convolution used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shared = nn.Conv1d(3, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.shared(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.shared(x)).mean(dim=2))


IMAGE, SEQUENCE = (3, 6, 6), (7, 6)
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "depthwise": (Depthwise, IMAGE),
    "dense": (Dense, IMAGE),
    "unet": (UNet, IMAGE),
    "squeeze_excite": (SqueezeExcite, IMAGE),
    "grouped": (Grouped, IMAGE),
    "pixel_shuffled": (PixelShuffled, IMAGE),
    "tied_embedding": (TiedEmbedding, (7,)),
    "hand_written_heads": (HandWrittenHeads, SEQUENCE),
    "shared_convolution": (SharedConvolution, (3, 8)),
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode with used batch norms, and 3 samples for it."""
    make, shape = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, inputs = make(), torch.randn(3, *shape)
        if name == "tied_embedding":
            inputs = torch.randint(0, 20, (3, *shape))
        model.train()
        with torch.no_grad():
            model(inputs)
    return model.eval(), inputs
