"""Samples of zeros in the place of a data set whose file is not here, with its shape and classes."""

from dataclasses import dataclass

import torch

from narrower.data import catalogue, cifar, jsc_table
from narrower.data.parts import DataSet, Part


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a public data set without its file; ``counts`` of training, validation and test."""

    shape: tuple[int, ...]
    output_names: tuple[str, ...]
    counts: tuple[int, int, int]
    feature_names: tuple[str, ...] = ()


KNOWN: dict[str, Known] = {
    "jsc": Known((16,), jsc_table.CLASSES, (531_200, 132_800, 166_000), jsc_table.FEATURES),
    "cifar10": Known(cifar.SHAPE, cifar.CLASSES_OF_TEN, (40_000, 10_000, 10_000)),
    "cifar100": Known(cifar.SHAPE, cifar.CLASSES_OF_A_HUNDRED, (40_000, 10_000, 10_000)),
}


def is_known(name: str) -> bool:
    """Whether something can stand in for a data set."""
    return catalogue.named_request(name).source in KNOWN


def stand_in(name: str) -> DataSet:
    """Samples of zeros in the place of a data set of ``KNOWN``: they show what fits, and take no memory."""
    name = catalogue.named_request(name).source
    known = KNOWN[name]
    parts = [
        Part(
            torch.zeros(1, *known.shape).expand(count, *known.shape),
            torch.arange(count) % len(known.output_names),
        )
        for count in known.counts
    ]
    return DataSet(
        name,
        parts[0],
        parts[1],
        parts[2],
        known.output_names,
        known.feature_names,
        content_hash="absent",
        stands_in=True,
    )
