"""The jet-tagging networks: 16 features to 5 classes, a few hundred weights."""

from itertools import pairwise

from torch import Tensor, nn


class JetTagger(nn.Module):
    """A chain of blocks, called ``seq_blocks``: [N, 16] -> [N, 5]."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.seq_blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(x)
        return output


def jsc_tiny() -> nn.Module:
    return JetTagger(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU())


def jsc_toy() -> nn.Module:
    return JetTagger(*_normalized_chain(16, 8, 8, 5))


def jsc_trt() -> nn.Module:
    blocks = _normalized_chain(16, 32, 48, 16, 5)
    third_linear = [i for i, block in enumerate(blocks) if isinstance(block, nn.Linear)][2]
    return JetTagger(*blocks[:third_linear], nn.Dropout(0.5), *blocks[third_linear:])


def jsc_s() -> nn.Module:
    return JetTagger(*_normalized_chain(16, 64, 32, 32, 32, 5))


def jsc_three_linear() -> nn.Module:
    return JetTagger(
        nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5), nn.ReLU()
    )


def jsc_three_linear_relu() -> nn.Module:
    return JetTagger(
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 5),
        nn.ReLU(),
    )


def _normalized_chain(*widths: int) -> list[nn.Module]:
    """Batch norm and ReLU of the input, then linear, batch norm and ReLU for each further width."""
    blocks: list[nn.Module] = [nn.BatchNorm1d(widths[0]), nn.ReLU()]
    for inputs, outputs in pairwise(widths):
        blocks += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return blocks
