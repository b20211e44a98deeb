"""Images of 256 levels as a data set, standardised channel by channel through a table of the levels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.cifar import Images, Pixels
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import Scaling, of_arguments
from narrower.data.splitting import split_in_two

LEVELS = 256
IMAGES_AT_A_TIME = 4096


def split_images(name: str, images: Images, seed: int) -> DataSet:
    """Split what is no test part into 80 % training and 20 % validation, and standardise by the first."""
    train, validation = split_in_two(len(images.targets), seed)
    table, scaling = standardised_levels(images.pixels, train)
    return DataSet(
        name,
        Part(looked_up(images.pixels[train], table), torch.from_numpy(images.targets[train])),
        Part(looked_up(images.pixels[validation], table), torch.from_numpy(images.targets[validation])),
        Part(looked_up(images.test_pixels, table), torch.from_numpy(images.test_targets)),
        images.output_names,
        prepared=of_arguments([scaling]),
    )


def plain_levels(pixels: Pixels) -> NDArray[np.float32]:
    """The levels [C, 256] as they are, 0 to 255."""
    return np.tile(np.arange(256, dtype=np.float32), (pixels.shape[1], 1))


def standardised_levels(pixels: Pixels, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], Scaling]:
    """For each channel and level, what it becomes: [C, 256], and by what mean and deviation of the channel.

    The sums are of whole numbers, and exact.
    """
    channels = pixels.shape[1]
    counts = np.zeros((channels, LEVELS), dtype=np.int64)
    for start in range(0, len(chosen), IMAGES_AT_A_TIME):
        some = pixels[chosen[start : start + IMAGES_AT_A_TIME]]
        for channel in range(channels):
            counts[channel] += np.bincount(some[:, channel].ravel(), minlength=LEVELS)
    levels = np.arange(LEVELS, dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    mean = (counts * levels).sum(axis=1, keepdims=True) / total
    deviation = np.sqrt((counts * (levels - mean) ** 2).sum(axis=1, keepdims=True) / total)
    deviation = np.where(deviation == 0, 1.0, deviation)
    standardised: NDArray[np.float64] = (levels - mean) / deviation
    shape = (channels, *(1,) * (pixels.ndim - 2))
    return standardised.astype(np.float32), Scaling.of(mean.reshape(shape), deviation.reshape(shape))


def looked_up(pixels: Pixels, table: NDArray[np.float32]) -> Tensor:
    """The standardised value of each pixel [N, C, ...], by a table of levels [C, 256]."""
    values = np.empty(pixels.shape, dtype=np.float32)
    for channel, levels in enumerate(table):
        values[:, channel] = levels[pixels[:, channel]]
    return torch.from_numpy(values)
