"""Small generated samples for each kind of task, so that everything can be tried without a file."""

from pathlib import Path

import numpy as np

from narrower.data.sources import Table
from narrower.tasks.multi_label.task import MULTI_LABEL
from narrower.tasks.segmentation.task import SEGMENTATION
from narrower.tasks.tokens.task import LANGUAGE_MODELLING

SAMPLES = 3000
FEATURES = 8
SIDE = 12  # pixels
RADIUS, HALF = 3, 2.5  # of discs and squares, in pixels
PLACES, TOKENS = 16, 10


def toy_labels(_path: Path | None = None) -> Table:
    """Eight random numbers; three labels say whether sums of two of them are above zero."""
    chance = np.random.default_rng(0)
    inputs = chance.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    targets = (inputs[:, [0, 2, 4]] + inputs[:, [1, 3, 5]] > 0).astype(np.float32)
    return Table(
        inputs,
        targets,
        ("first", "second", "third"),
        tuple(f"x{i}" for i in range(FEATURES)),
        task=MULTI_LABEL,
    )


def toy_shapes(_path: Path | None = None) -> Table:
    """Pictures [1, 12, 12] of a bright disc or square in noise; each pixel is background, disc or square."""
    chance = np.random.default_rng(1)
    count = SAMPLES // 3
    rows, columns = np.mgrid[:SIDE, :SIDE]
    middles = chance.uniform(3, SIDE - 4, (count, 2, 1, 1))
    off_rows, off_columns = np.abs(rows - middles[:, 0]), np.abs(columns - middles[:, 1])
    is_disc = (np.arange(count) % 2 == 0)[:, None, None]
    to_edge = np.maximum(off_rows, off_columns)
    disc, square = np.hypot(off_rows, off_columns) < RADIUS, to_edge < HALF
    inside = np.where(is_disc, disc, square)
    targets = np.where(inside, np.where(is_disc, 1, 2), 0)
    # What tells a square is a brighter rim.
    rim = inside & ~is_disc & (to_edge > HALF - 1)
    pixels = inside + rim + chance.normal(0, 0.3, (count, SIDE, SIDE))
    return Table(
        pixels[:, None].astype(np.float32),
        targets.astype(np.int64),
        ("background", "disc", "square"),
        task=SEGMENTATION,
    )


def toy_sequences(_path: Path | None = None) -> Table:
    """Sequences of ten tokens in which each is the last one plus one or two; the next token is the target."""
    chance = np.random.default_rng(2)
    steps = chance.choice([1, 2], p=[0.8, 0.2], size=(SAMPLES // 2, PLACES + 1))
    steps[:, 0] = chance.integers(0, TOKENS, SAMPLES // 2)
    tokens = np.cumsum(steps, axis=1) % TOKENS
    names = tuple(str(token) for token in range(TOKENS))
    return Table(tokens[:, :-1].copy(), tokens[:, 1:].copy(), names, task=LANGUAGE_MODELLING)
