"""Two networks of MLPerf Tiny (Banbury et al. 2021): spotting of keywords, and odd sounds of machines."""

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from narrower.data.sizes import Sizes

CHANNELS = 64
BLOCKS = 4
HIDDEN, NARROW = 128, 8
HIDDEN_LAYERS = 4  # on either side of the narrow one


class DepthwiseSeparable(nn.Module):
    """Keyword spotting, DS-CNN (Zhang et al. 2017): [N, 1, time, frequencies] -> [N, keywords].

    For 49 x 10 and 12 keywords 24,908 numbers with the statistics of batch norms, 2.66 million products.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        layers: list[nn.Module] = [
            nn.Conv2d(sizes.sample[0], CHANNELS, (10, 4), stride=2, padding=(5, 1)),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
            nn.Dropout(0.2),
        ]
        for _ in range(BLOCKS):
            layers += [
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS),
                nn.BatchNorm2d(CHANNELS),
                nn.ReLU(),
                nn.Conv2d(CHANNELS, CHANNELS, 1),
                nn.BatchNorm2d(CHANNELS),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers, nn.Dropout(0.4))
        self.last = nn.Linear(CHANNELS, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.last(self.features(x).mean(dim=(2, 3)))
        return output


class DenseAutoencoder(nn.Module):
    """Anomalies in sounds: [N, ...] -> [N, values]; 269,992 numbers for 640 values, counted alike."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        values = prod(sizes.sample)
        widths = [values, *[HIDDEN] * HIDDEN_LAYERS, NARROW, *[HIDDEN] * HIDDEN_LAYERS]
        layers: list[nn.Module] = []
        for taken, given in pairwise(widths):
            layers += [nn.Linear(taken, given), nn.BatchNorm1d(given), nn.ReLU()]
        self.seq_blocks = nn.Sequential(*layers, nn.Linear(HIDDEN, values))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(x.flatten(1))
        return output
