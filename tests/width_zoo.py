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


class ChannelShuffle(nn.Module):
    """Half of the channels pass by, then halves are interleaved: it is their number that is constant."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.relu(self.stem(x)).chunk(2, dim=1)
        x = torch.cat([left, torch.relu(self.branch(right))], dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)
        return self.head(F.channel_shuffle(x, 2).mean(dim=(2, 3)))


class Gated(nn.Module):
    """Gates, a norm of squares, and parameters that belong to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.up, self.gate = (
            nn.Linear(6, 12),
            nn.RMSNorm(6),
            nn.Linear(6, 8),
            nn.Linear(6, 8),
        )
        self.scale, self.down = nn.Parameter(torch.rand(6)), nn.Parameter(torch.randn(8, 6))
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.first(x), dim=-1)
        y = self.norm(x)
        return self.head(x + self.scale * ((F.silu(self.gate(y)) * self.up(y)) @ self.down)).amax(dim=1)


class FixedHeads(nn.Module):
    """Attention with as many heads whatever the width, which follows from that of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.embed, self.packed, self.out, self.head = (
            nn.Linear(6, 16),
            nn.Linear(16, 48),
            nn.Linear(16, 16),
            nn.Linear(16, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.repeat(x.shape[0], 1, 1), self.embed(x)], dim=1)
        batch, tokens, channels = x.shape
        packed = self.packed(x).reshape(batch, tokens, 3, 4, channels // 4).permute(2, 0, 3, 1, 4)
        query, key, value = packed.unbind(0)
        scores = (query @ key.transpose(-2, -1) / 2).softmax(dim=-1)
        return self.head((x + self.out((scores @ value).transpose(1, 2).reshape(x.shape)))[:, 0])


class CrossAttention(nn.Module):
    """Multi-head attention whose keys are computed by another layer, of the same width and of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.narrow = nn.Linear(6, 16), nn.Linear(6, 16), nn.Linear(6, 8)
        self.same = nn.MultiheadAttention(16, 4, batch_first=True)
        self.other = nn.MultiheadAttention(16, 4, batch_first=True, kdim=8, vdim=8)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        query, key, narrow = self.query(x), torch.relu(self.key(x)), torch.relu(self.narrow(x))
        y = query + self.same(query, key, key, need_weights=False)[0]
        return self.head((y + self.other(y, narrow, narrow, need_weights=False)[0]).mean(dim=1))


class Bare(nn.Module):
    """Norms that hold no tensors, and a depthwise transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.instance, self.layer = (
            nn.Conv2d(3, 8, 1),
            nn.InstanceNorm2d(8),
            nn.LayerNorm(8, elementwise_affine=False),
        )
        self.up, self.head = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(torch.relu(self.instance(self.stem(x))))
        return self.head(self.layer(x.permute(0, 2, 3, 1)).flatten(1, 2).max(dim=1).values)


class GroupedInput(nn.Module):
    """A grouped convolution of the input itself, and pixels that become channels."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped, self.inner, self.head = (
            nn.Conv2d(6, 8, 3, padding=1, groups=2),
            nn.Conv2d(8, 4, 1),
            nn.Linear(16, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.inner(torch.relu(self.grouped(torch.cat([x, -x], dim=1)))))
        return self.head(F.pixel_unshuffle(x, 2).mean(dim=(2, 3)))


IMAGE, SEQUENCE = (3, 6, 6), (7, 6)


class Recurrent(nn.Module):
    """Two layers that read in both directions, one of another kind after them, whose last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        self.first = nn.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.second = nn.GRU(8, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        read, _ = self.first(self.embed(x))
        _, last = self.second(read.transpose(0, 1))
        scores: Tensor = self.head(last[-1])
        return scores


class Cells(nn.Module):
    """Steps that are written out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.head = nn.LSTMCell(6, 4), nn.GRUCell(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = (x.new_zeros(x.shape[0], self.lstm.hidden_size),) * 2
        own = x.new_zeros(x.shape[0], self.gru.hidden_size)
        for step in range(3):
            state = self.lstm(x[:, step], state)
            own = self.gru(state[0], own)
        scores: Tensor = self.head(own)
        return scores


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
    "channel_shuffle": (ChannelShuffle, IMAGE),
    "gated": (Gated, SEQUENCE),
    "fixed_heads": (FixedHeads, SEQUENCE),
    "recurrent": (Recurrent, SEQUENCE),
    "cells": (Cells, SEQUENCE),
    "cross_attention": (CrossAttention, SEQUENCE),
    "bare": (Bare, IMAGE),
    "grouped_input": (GroupedInput, IMAGE),
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
