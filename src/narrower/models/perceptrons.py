"""Networks of linear layers whose widths their name says: ``mlp:64-32-32``."""

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from narrower.data.sizes import Sizes
from narrower.errors import ModelError
from narrower.models.catalogue import MLP, MLP_EXAMPLE

LARGEST_WIDTH = 4096  # a name in a file must not make a network of any size
MOST_LAYERS = 16


class Perceptron(nn.Module):
    """Hidden layers of ``widths``, each with batch norm and ReLU: [N, ...] -> [N, outputs]."""

    def __init__(self, widths: tuple[int, ...], sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden = (prod(sizes.sample), *widths)
        blocks = [
            block
            for inputs, outputs in pairwise(hidden)
            for block in (nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
        ]
        self.seq_blocks = nn.Sequential(*blocks, nn.Linear(hidden[-1], sizes.classes))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(x.flatten(1))
        return output


def perceptron(name: str, sizes: Sizes | None) -> Perceptron:
    """The network of a name such as ``mlp:64-32-32``, from the values of a sample to the outputs of its data.

    Raises:
        ModelError: the name says no widths, or nothing says what it takes.
    """
    texts = name.removeprefix(MLP).split("-")
    are_widths = all(text.isascii() and text.isdigit() and 0 < int(text) <= LARGEST_WIDTH for text in texts)
    if not are_widths or len(texts) > MOST_LAYERS:
        raise ModelError(
            f"model {name!r}: found {name.removeprefix(MLP)!r}; allowed: at most {MOST_LAYERS} widths from 1 "
            f"to {LARGEST_WIDTH} with hyphens between them, such as {MLP_EXAMPLE}"
        )
    if sizes is None:
        raise ModelError(
            f"model {name!r} has the sizes of its data; name a data set, or the shape of a sample"
        )
    return Perceptron(tuple(map(int, texts)), sizes)
