"""Are large networks searched within 4 GB? The most memory that each command held at a time, in GB.

    python benchmarks/large.py [--json] [--network NAME ...] [--command NAME ...] [--trials N] [--samples N]

- ``transformer``: 100 M parameters, 12 blocks of width 768, random weights, samples of 16 tokens
- ``resnet``: 25.6 M parameters in bottlenecks, as in ResNet-50, random weights, pictures of 224 x 224
- ``profile_gb``, ``sensitivity_gb``, ``search_gb``: the peak of the command, pages of mapped files included;
  sensitivity in 8 bits, a search of 200 random plans of 8 and 4 bits
- ``profile_seconds`` and so on: what it took of a processor
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

NETWORKS, COMMANDS = ("transformer", "resnet"), ("profile", "sensitivity", "search")
TOKENS, WORDS, WIDTH, BLOCKS = 16, 20_000, 768, 12
PIXELS, CLASSES, ROWS = 224, 10, 160


class Transformer(nn.Module):
    """An encoder between a table of words and a mean over tokens."""

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS, words: int = WORDS) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        block = nn.TransformerEncoderLayer(width, width // 64, 4 * width, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.encoder(self.embed(x)).mean(1))
        return scores


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut."""

    def __init__(self, entering: int, inner: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(entering, inner, 1, bias=False), nn.BatchNorm2d(inner))
        middle = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.second = nn.Sequential(middle, nn.BatchNorm2d(inner))
        self.third = nn.Sequential(nn.Conv2d(inner, leaving, 1, bias=False), nn.BatchNorm2d(leaving))
        self.shortcut: nn.Module = nn.Identity()
        if entering != leaving or stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.second(torch.relu(self.first(x))))
        return torch.relu(self.third(inner) + self.shortcut(x))


def transformer() -> nn.Module:
    """The user's own module, as commands build it."""
    return Transformer()


def resnet() -> nn.Module:
    """3, 4, 6 and 3 bottlenecks of He et al. (2016), table 1."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    stages["stem"] = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    )
    sizes = [64, 256, 512, 1024, 2048]
    for number, ((entering, leaving), blocks) in enumerate(zip(pairwise(sizes), (3, 4, 6, 3), strict=True)):
        stages[f"stage{number}"] = nn.Sequential(
            *(
                Bottleneck(
                    leaving if block else entering,
                    leaving // 4,
                    leaving,
                    2 if block == 0 and number > 0 else 1,
                )
                for block in range(blocks)
            )
        )
    stages["pool"] = nn.AdaptiveAvgPool2d(1)
    stages["flat"] = nn.Flatten()
    stages["head"] = nn.Linear(2048, CLASSES)
    return nn.Sequential(stages)


def words() -> tuple[Tensor, Tensor]:
    """Samples of the transformer."""
    chance = torch.Generator().manual_seed(0)
    return torch.randint(0, WORDS, (ROWS, TOKENS), generator=chance), torch.arange(ROWS) % CLASSES


def pictures() -> tuple[Tensor, Tensor]:
    """Samples of the residual network."""
    chance = torch.Generator().manual_seed(0)
    return torch.randn(ROWS, 3, PIXELS, PIXELS, generator=chance), torch.arange(ROWS) % CLASSES


def peak_of(arguments: list[str], folder: Path) -> tuple[float, float]:
    """The peak of a command in GB, and its seconds of a processor."""
    command = [sys.executable, "-m", "narrower", *arguments]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return used.ru_maxrss * 1024 / 1e9, used.ru_utime + used.ru_stime


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--samples", type=int, default=16)
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in given.network or NETWORKS:
            torch.manual_seed(0)
            weights = f"{network}.safetensors"
            save_file(
                {"transformer": transformer, "resnet": resnet}[network]().state_dict(), folder / weights
            )
            model = f"large:{network}"
            data = f"large:{'words' if network == 'transformer' else 'pictures'}"
            few, load = ["--samples", str(given.samples)], ["--load", weights]
            trials = ["--trials", str(given.trials), "--project", network]
            search = [*trials, "--data-widths", "8", "--weight-widths", "4,8", "--sampler", "random"]
            asked = {
                "profile": [model, data, *load],
                "sensitivity": [model, data, *load, "--widths", "8", *few],
                "search": ["--model", model, "--dataset", data, *load, *search, *few],
            }
            rows = found.setdefault(network, {})
            for command in given.command or COMMANDS:
                peak, seconds = peak_of([command, *asked[command]], folder)
                rows[f"{command}_gb"], rows[f"{command}_seconds"] = round(peak, 2), round(seconds, 1)
    print(json.dumps(found, indent=None if given.json else 1))


if __name__ == "__main__":
    main()
