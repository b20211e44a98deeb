"""One block or two of many kinds of convolutional networks, very small: what published networks do."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """A convolution, its batch norm and what follows it."""
    padded = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(padded, nn.BatchNorm2d(outputs), act or nn.ReLU())


class Pooled(nn.Module):
    """A stem, a body, a mean over the picture and a linear layer."""

    def __init__(self, *body: nn.Module, stem: nn.Module | None = None, outputs: int = 8) -> None:
        super().__init__()
        self.stem = stem or convolution(3, 8, stride=2)
        self.body, self.head = nn.Sequential(*body), nn.Linear(outputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(self.stem(x)).mean((2, 3)))
        return scores


class ConvNeXt(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.depthwise, self.norm = (
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            nn.LayerNorm(channels),
        )
        self.expand, self.project = nn.Linear(channels, 12), nn.Linear(12, channels)
        self.scale = nn.Parameter(0.5 * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.project(F.gelu(self.expand(y)))
        return x + y.permute(0, 3, 1, 2)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, inner: int, gate: nn.Module) -> None:
        super().__init__()
        self.reduce, self.expand, self.gate = (
            nn.Conv2d(channels, inner, 1),
            nn.Conv2d(inner, channels, 1),
            gate,
        )

    def forward(self, x: Tensor) -> Tensor:
        weights = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * self.gate(weights)


class InvertedBottleneck(nn.Module):
    """EfficientNet's with SiLU, MobileNetV3's with hard swish."""

    def __init__(self, act: type[nn.Module], gate: type[nn.Module], channels: int = 8) -> None:
        super().__init__()
        self.expand = convolution(channels, 16, 1, act=act())
        self.depthwise = convolution(16, 16, 5, groups=16, act=act())
        self.weigh, self.project = (
            SqueezeExcite(16, 4, gate()),
            convolution(16, channels, 1, act=nn.Identity()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.weigh(self.depthwise(self.expand(x))))


class GhostModule(nn.Module):
    """Half of the channels are cheap copies of the other half."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = (outputs + 1) // 2
        self.primary, self.cheap = convolution(inputs, half, 1), convolution(half, half, 3, groups=half)
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)[:, : self.outputs]


class DenseLayer(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.inner = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 12, 1, bias=False)
        self.second, self.outer = nn.BatchNorm2d(12), nn.Conv2d(12, 4, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(F.relu(self.first(x)))
        return torch.cat([x, self.outer(F.relu(self.second(y)))], 1)


class Inception(nn.Module):
    def __init__(self, inputs: int = 8) -> None:
        super().__init__()
        self.one = convolution(inputs, 4, 1)
        self.tall = nn.Sequential(
            convolution(inputs, 3, 1),
            nn.Conv2d(3, 4, (1, 7), padding=(0, 3)),
            nn.Conv2d(4, 6, (7, 1), padding=(3, 0)),
        )
        self.pool = convolution(inputs, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.one(x), F.relu(self.tall(x)), pooled], 1)


class SplitAttention(nn.Module):
    """ResNeSt's: two halves of the channels, weighed by a softmax over the halves."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.halves = convolution(channels, 2 * channels, groups=2)
        self.squeeze, self.norm = nn.Conv2d(channels, 6, 1, groups=1), nn.BatchNorm2d(6)
        self.weigh = nn.Conv2d(6, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.halves(x)
        batch, both = x.shape[:2]
        parts = x.reshape(batch, 2, both // 2, *x.shape[2:])
        gap = F.adaptive_avg_pool2d(parts.sum(dim=1), 1)
        weights = self.weigh(F.relu(self.norm(self.squeeze(gap))))
        weights = F.softmax(weights.view(batch, 1, 2, -1).transpose(1, 2), dim=1).reshape(batch, -1)
        return (parts * weights.view(batch, 2, both // 2, 1, 1)).sum(dim=1)


class Standardised(nn.Conv2d):
    """A convolution whose weight is standardised in each call (BiT); with a gain, NFNets'."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, gain: bool = False) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.gain = nn.Parameter(torch.full((outputs, 1, 1, 1), 1.3)) if gain else None

    def effective(self) -> Tensor:
        """The weight that the convolution multiplies with."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-5)
        fan_in: int = self.weight[0].numel()
        return weight if self.gain is None else weight * (self.gain * fan_in**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.effective(), self.bias, self.stride, self.padding)


class BiT(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.norm, self.first, self.second = (
            nn.GroupNorm(2, channels),
            Standardised(channels, 8, 1),
            Standardised(8, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * self.second(F.relu(self.first(F.relu(self.norm(x)))))


class NFNet(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.first, self.second = (
            Standardised(channels, 6, 1, gain=True),
            Standardised(6, channels, gain=True),
        )
        self.skip_gain = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.gelu(self.first(F.gelu(x) * 1.7015))) * 1.7015
        return x + y * self.skip_gain * 0.2


class ConvMixer(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.spatial = convolution(channels, channels, 5, groups=channels, act=nn.GELU())
        self.pointwise = convolution(channels, channels, 1, act=nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(x + self.spatial(x))


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, then both halves are interleaved."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            convolution(half, half, 1), convolution(half, half, 3, groups=half, act=nn.Identity())
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.size()
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)


class HighResolution(nn.Module):
    """HRNet: branches of two resolutions that exchange what they found."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.high, self.low = convolution(8, 12, stride=2), convolution(8, 8), convolution(12, 12)
        self.up, self.across = nn.Conv2d(12, 8, 1), nn.Conv2d(8, 12, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        high, low = self.high(x), self.low(self.down(x))
        raised = F.interpolate(self.up(low), size=high.shape[2:], mode="bilinear")
        high, low = F.relu(high + raised), F.relu(low + self.across(high))
        return torch.cat([high, F.interpolate(low, scale_factor=2, mode="nearest")], dim=1)


class RepVGG(nn.Module):
    """Three parallel ways: a kernel of 3, one of 1, and a batch norm alone."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.wide = convolution(channels, channels, act=nn.Identity())
        self.narrow, self.same = (
            convolution(channels, channels, 1, act=nn.Identity()),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.wide(x) + self.narrow(x) + self.same(x))


class Fire(nn.Module):
    """SqueezeNet's."""

    def __init__(self, inputs: int = 8) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = (
            nn.Conv2d(inputs, 4, 1),
            nn.Conv2d(4, 6, 1),
            nn.Conv2d(4, 6, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class RegNet(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.first, self.grouped = convolution(channels, 16, 1), convolution(16, 16, groups=4)
        self.weigh, self.last = (
            SqueezeExcite(16, 2, nn.Sigmoid()),
            convolution(16, channels, 1, act=nn.Identity()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.last(self.weigh(self.grouped(self.first(x)))))


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            nn.AdaptiveAvgPool2d((2, 2)),
        )
        self.classifier = nn.Sequential(nn.Linear(32, 10), nn.ReLU(True), nn.Dropout(), nn.Linear(10, 5))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return scores
