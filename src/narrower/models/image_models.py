"""Networks for images: digits at 8x8, and residual and plain convolutional nets."""

from torch import Tensor, nn

from narrower.data.sizes import Sizes


def digits_mlp() -> nn.Module:
    """[N, 1, 8, 8] -> [N, 10]."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def digits_cnn() -> nn.Module:
    """[N, 1, 8, 8] -> [N, 10]."""
    return nn.Sequential(
        *_convolution(1, 8),
        nn.MaxPool2d(2),
        *_convolution(8, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, section 4.2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        output: Tensor = self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))
        return output


class ResNet20(nn.Module):
    """The 20-layer residual net for small images: [N, C, H, W] -> [N, classes]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.conv1 = nn.Conv2d(sizes.sample[0], 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = _stage(16, 16, 1)
        self.layer2 = _stage(16, 32, 2)
        self.layer3 = _stage(32, 64, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.layer3(self.layer2(self.layer1(y)))
        output: Tensor = self.fc(self.flatten(self.pool(y)))
        return output


class VGG7(nn.Module):
    """Six 3x3 convolutions and two hidden linear layers: [N, C, H, W] -> [N, classes].

    Layers have the names and sizes that they have in MASE/chop, so that its checkpoints fit.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        channels, height, width = sizes.sample
        self.sizes = sizes
        self.feature_layers = nn.Sequential(
            *_biased_convolution(channels, 128),
            *_biased_convolution(128, 128),
            nn.MaxPool2d(2),
            *_biased_convolution(128, 256),
            *_biased_convolution(256, 256),
            nn.MaxPool2d(2),
            *_biased_convolution(256, 512),
            *_biased_convolution(512, 512),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(512 * (height // 8) * (width // 8), 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()
        )
        self.last_layer = nn.Linear(1024, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.feature_layers(x).flatten(1)
        output: Tensor = self.last_layer(self.classifier(y))
        return output


def _biased_convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1), BasicBlock(outputs, outputs, 1)
    )
