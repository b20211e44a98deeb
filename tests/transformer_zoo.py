"""One block or two of many kinds of vision transformers and their relatives, very small."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 8


def feed_forward(channels: int = CHANNELS, inner: int = 12) -> nn.Sequential:
    """What follows attention in each block."""
    return nn.Sequential(nn.Linear(channels, inner), nn.GELU(), nn.Linear(inner, channels))


class Patches(nn.Module):
    """A picture as a row of tokens [N, T, C]."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, CHANNELS, size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Something that mixes tokens and something that mixes channels, each beside a shortcut."""

    def __init__(self, mixer: nn.Module, *, scaled: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.mixer, self.feed = mixer, feed_forward()
        self.scale = nn.Parameter(0.7 * torch.ones(CHANNELS)) if scaled else 1.0

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.mixer(self.first(x))
        return x + self.scale * self.feed(self.second(x))


class SelfAttention(nn.Module):
    """As most write it: one matrix for queries, keys and values."""

    def __init__(self, heads: int = 2, *, fused: bool = False) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(CHANNELS, 3 * CHANNELS), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, channels))


class ViT(nn.Module):
    """Tokens for classes in front: one (ViT), or one more for a teacher (DeiT)."""

    def __init__(self, extra: int = 1) -> None:
        super().__init__()
        self.patches, self.extra = Patches(), extra
        self.cls = nn.Parameter(torch.randn(1, extra, CHANNELS))
        self.places = nn.Parameter(torch.randn(1, 16 + extra, CHANNELS))
        self.blocks = nn.Sequential(Block(SelfAttention()), Block(SelfAttention(fused=True)))
        self.norm = nn.LayerNorm(CHANNELS)
        self.heads = nn.ModuleList(nn.Linear(CHANNELS, 5) for _ in range(extra))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.places
        x = self.norm(self.blocks(x))
        scores = [head(x[:, number]) for number, head in enumerate(self.heads)]
        return torch.stack(scores).mean(0) if self.extra > 1 else scores[0]


class Tokens(nn.Module):
    """Blocks between patches and a mean over tokens."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.patches, self.blocks = Patches(), nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(CHANNELS), nn.Linear(CHANNELS, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(self.blocks(self.patches(x))).mean(dim=1))
        return scores


class CrossCovariance(nn.Module):
    """XCiT: channels attend to channels, over normalized queries and keys."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv, self.proj = nn.Linear(CHANNELS, 3 * CHANNELS, bias=False), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels // self.heads)
        q, k, v = parts.permute(2, 0, 3, 4, 1).unbind(0)
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        mixed = scores.softmax(dim=-1) @ v
        return self.proj(mixed.permute(0, 3, 1, 2).reshape(batch, tokens, channels))


class FactorisedAttention(nn.Module):
    """CoaT: softmax over the tokens of the keys, keys and values first, and convolved values."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.qkv = heads, nn.Linear(CHANNELS, 3 * CHANNELS)
        self.crpe, self.proj = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        side = math.isqrt(tokens)
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        context = torch.einsum("bhnk,bhnv->bhkv", k.softmax(dim=2), v)
        mixed = torch.einsum("bhnk,bhkv->bhnv", q, context)
        images = v.transpose(-1, -2).reshape(batch, channels, side, side)
        shifted = self.crpe(images).reshape(batch, self.heads, channels // self.heads, tokens)
        mixed = 0.5 * mixed + q * shifted.transpose(-1, -2)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, channels))


class PoolMixer(nn.Module):
    """PoolFormer: the mean of a token's neighbours, less itself."""

    def forward(self, x: Tensor) -> Tensor:
        side = math.isqrt(x.shape[1])
        image = x.transpose(1, 2).unflatten(2, (side, side))
        return (F.avg_pool2d(image, 3, 1, 1, count_include_pad=False) - image).flatten(2).transpose(1, 2)


class TokenMixer(nn.Module):
    """MLP-Mixer's, or with one matrix ResMLP's."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16) if plain else feed_forward(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.transpose(1, 2)).transpose(1, 2)


class Affine(nn.Module):
    """ResMLP in place of a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.rand(1, 1, CHANNELS)), nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.beta, self.alpha, x)


class SpatialGate(nn.Module):
    """gMLP: half of the channels are multiplied with a mix of the tokens of the other half."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.norm, self.tokens = nn.Linear(8, 12), nn.LayerNorm(6), nn.Linear(16, 16)
        self.project = nn.Linear(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        u, v = F.gelu(self.expand(x)).chunk(2, dim=-1)
        v = self.tokens(self.norm(v).transpose(-1, -2))
        return self.project(u * v.transpose(-1, -2))


class WindowAttention(nn.Module):
    """Swin: shifted windows, with a table of biases by relative place."""

    def __init__(self, window: int = 3, shift: int = 0, heads: int = 2) -> None:
        super().__init__()
        self.window, self.shift, self.heads = window, shift, heads
        self.qkv, self.proj = nn.Linear(CHANNELS, 3 * CHANNELS), nn.Linear(CHANNELS, CHANNELS)
        places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        apart = (places.flatten(1)[:, :, None] - places.flatten(1)[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", (apart[..., 0] * (2 * window - 1) + apart[..., 1]).flatten())
        self.make_bias()

    def make_bias(self) -> None:
        """Parameters of the bias."""
        self.table = nn.Parameter(torch.randn((2 * self.window - 1) ** 2, self.heads))

    def bias(self) -> Tensor:
        """[1, heads, positions, positions]."""
        n = self.window**2
        return self.table[self.index].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """How much each place of a window sees of each other one."""
        return (q * (q.shape[-1] ** -0.5)) @ k.transpose(-2, -1)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        w = self.window
        x = F.pad(x, (0, 0, 0, (w - width % w) % w, 0, (w - height % w) % w))
        _, padded_height, padded_width, _ = x.shape
        if self.shift:
            x = torch.roll(x, shifts=(-self.shift, -self.shift), dims=(1, 2))
        across = (padded_height // w) * (padded_width // w)
        x = x.view(batch, padded_height // w, w, padded_width // w, w, channels)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(batch * across, w * w, channels)
        qkv = self.qkv(x).reshape(x.size(0), x.size(1), 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = self.scores(q, k) + self.bias()
        if self.shift:
            mask = self.mask(x, padded_height, padded_width)
            attention = attention.view(batch, across, self.heads, w * w, w * w) + mask[None, :, None]
            attention = attention.view(-1, self.heads, w * w, w * w)
        x = self.proj((attention.softmax(-1) @ v).transpose(1, 2).reshape(x.size(0), x.size(1), channels))
        x = x.view(batch, padded_height // w, padded_width // w, w, w, channels)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(batch, padded_height, padded_width, channels)
        if self.shift:
            x = torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width, :].contiguous()

    def mask(self, x: Tensor, height: int, width: int) -> Tensor:
        """What came from the other side of the picture is not seen."""
        w, found, count = self.window, x.new_zeros((height, width)), 0
        parts = ((0, -w), (-w, -self.shift), (-self.shift, None))
        for top, bottom in parts:
            for left, right in parts:
                found[top:bottom, left:right] = count
                count += 1
        found = found.view(height // w, w, width // w, w).permute(0, 2, 1, 3).reshape(-1, w * w)
        apart = found.unsqueeze(1) - found.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)


class WindowAttentionV2(WindowAttention):
    """Swin V2: cosines, and biases that a small network computes from a buffer of coordinates."""

    def make_bias(self) -> None:
        self.scale = nn.Parameter(torch.log(10 * torch.ones((self.heads, 1, 1))))
        self.places = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, self.heads, bias=False))
        side = torch.arange(-(self.window - 1), self.window, dtype=torch.float32)
        table = 8 * torch.stack(torch.meshgrid([side, side], indexing="ij")).permute(1, 2, 0).unsqueeze(0)
        table = table / (self.window - 1)
        self.register_buffer("coordinates", torch.sign(table) * torch.log2(table.abs() + 1) / 3)

    def bias(self) -> Tensor:
        table, n = self.places(self.coordinates).view(-1, self.heads), self.window**2
        chosen = table[self.index].view(n, n, -1).permute(2, 0, 1).contiguous()
        return 16 * torch.sigmoid(chosen.unsqueeze(0))

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        return cosines * torch.clamp(self.scale, max=math.log(100.0)).exp()


class Swin(nn.Module):
    def __init__(self, attention: type[WindowAttention]) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, CHANNELS, 2, 2), nn.LayerNorm(CHANNELS)
        self.blocks = nn.Sequential(Block(attention(shift=0)), Block(attention(shift=1)))
        self.merge, self.head = nn.Linear(4 * CHANNELS, 10, bias=False), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.norm(self.stem(x).permute(0, 2, 3, 1)))
        corners = [x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        scores: Tensor = self.head(self.merge(torch.cat(corners, -1)).mean((1, 2)))
        return scores


class MaxViT(nn.Module):
    """Attention inside blocks and over a grid, its products as einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, CHANNELS, 3, 2, 1), nn.Linear(CHANNELS, 5)
        self.qkv, self.merge = nn.Linear(CHANNELS, 3 * CHANNELS), nn.Linear(CHANNELS, CHANNELS)

    def attend(self, x: Tensor) -> Tensor:
        """[batch, windows, places, channels], two heads."""
        batch, windows, places, channels = x.shape
        q, k, v = torch.chunk(self.qkv(x), 3, dim=-1)
        q, k, v = (
            t.reshape(batch, windows, places, 2, channels // 2).permute(0, 1, 3, 2, 4) for t in (q, k, v)
        )
        scores = torch.einsum("B G H I D, B G H J D -> B G H I J", q, k * (channels / 2) ** -0.5)
        mixed = torch.einsum("B G H I J, B G H J D -> B G H I D", F.softmax(scores, dim=-1), v)
        return self.merge(mixed.permute(0, 1, 3, 2, 4).reshape(batch, windows, places, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        batch, channels, height, width = x.shape
        blocks = x.reshape(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1)
        blocks = blocks.reshape(batch, -1, 16, channels)
        blocks = blocks + self.attend(blocks)
        grid = blocks.swapaxes(-2, -3)
        scores: Tensor = self.head((grid + self.attend(grid)).mean((1, 2)))
        return scores


class LeViT(nn.Module):
    """Convolutions first; linear layers with batch norm over flattened tokens; biases by distance."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.qkv, self.norm = nn.Linear(8, 2 * (3 + 3 + 4), bias=False), nn.BatchNorm1d(20)
        self.biases = nn.Parameter(torch.randn(2, 16))
        rows = [(y, x) for y in range(4) for x in range(4)]
        apart = [[abs(a[0] - b[0]) * 4 + abs(a[1] - b[1]) for b in rows] for a in rows]
        self.register_buffer("index", torch.tensor(apart), persistent=False)
        self.proj, self.last = nn.Sequential(nn.Hardswish(), nn.Linear(8, 8)), nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        batch, tokens, _ = x.shape
        qkv = self.qkv(x)
        qkv = self.norm(qkv.flatten(0, 1)).reshape_as(qkv).view(batch, tokens, 2, -1)
        q, k, v = qkv.split([3, 3, 4], dim=3)
        scores = q.permute(0, 2, 1, 3) @ k.permute(0, 2, 3, 1) * 3**-0.5 + self.biases[:, self.index]
        mixed = (scores.softmax(dim=-1) @ v.permute(0, 2, 1, 3)).transpose(1, 2).reshape(batch, tokens, 8)
        found: Tensor = self.head(self.last((x + self.proj(mixed)).mean(1)))
        return found


class PiT(nn.Module):
    """Blocks, then tokens as a picture that a depthwise convolution pools; the class token apart."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.cls = Patches(), nn.Parameter(torch.randn(1, 1, CHANNELS))
        self.block, self.pool = Block(SelfAttention()), nn.Conv2d(8, 16, 3, 2, 1, groups=8)
        self.widen, self.head = nn.Linear(8, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        x = self.block(torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1))
        cls, rest = x[:, :1], x[:, 1:]
        pooled = self.pool(rest.transpose(1, 2).reshape(x.shape[0], 8, 4, 4)).flatten(2).transpose(1, 2)
        scores: Tensor = self.head(torch.cat([self.widen(cls), pooled], dim=1)[:, 0] + pooled.mean(1))
        return scores


class EfficientFormer(nn.Module):
    """Pooling over pictures first, attention over tokens last, each scaled by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.scale = nn.Parameter(0.5 * torch.ones(8, 1, 1))
        self.narrow, self.wide = nn.Conv2d(8, 12, 1), nn.Conv2d(12, 8, 1)
        self.block, self.head = Block(SelfAttention(), scaled=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.scale * (F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x)
        x = x + self.wide(F.gelu(self.narrow(x)))
        scores: Tensor = self.head(self.block(x.flatten(2).transpose(1, 2)).mean(-2))
        return scores


class ResMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.mix, self.feed = (
            Affine(),
            Affine(),
            TokenMixer(plain=True),
            feed_forward(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.first(x))
        return x + self.feed(self.second(x))
