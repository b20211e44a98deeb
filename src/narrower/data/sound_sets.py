"""Generated samples in the form of spectra of sounds; no sound was recorded for them."""

from pathlib import Path

import numpy as np

from narrower.data.sources import Table

TIME, FREQUENCIES, KEYWORDS = 49, 10, 12
WORDS = 1500  # samples
MACHINES, FRAMES, BANDS = 1500, 5, 128
HARMONICS = 6
ODD_SHARE = 0.2


def toy_keywords(_path: Path | None = None) -> Table:
    """Spectra [1, 49, 10] of tones that rise or fall in twelve ways, at any moment and speed, in noise."""
    chance = np.random.default_rng(3)
    classes = np.arange(WORDS) % KEYWORDS
    moments, bands = np.arange(TIME)[:, None], np.arange(FREQUENCIES)[None, :]
    begins, lengths = chance.integers(2, 14, WORDS), chance.integers(22, 32, WORDS)
    inputs = chance.normal(0, 1, (WORDS, 1, TIME, FREQUENCIES)).astype(np.float32)
    for sample, kind in enumerate(classes):
        along = (moments - begins[sample]) / lengths[sample]  # from 0 to 1 while it sounds
        first, last = 0.5 + 2.5 * (kind % 4), 0.5 + 2.5 * ((kind + 1 + kind // 4) % 4)
        tone = np.exp(-0.5 * ((bands - first - (last - first) * along) / 0.8) ** 2)
        inputs[sample, 0] += 1.2 * tone * ((along >= 0) & (along <= 1))
    return Table(inputs, classes.astype(np.int64), tuple(f"word {number}" for number in range(KEYWORDS)))


def toy_machines(_path: Path | None = None) -> Table:
    """Five spectra of 128 bands of a humming machine; odd ones hum with a tone more that is not in tune."""
    chance = np.random.default_rng(4)
    is_odd = chance.random(MACHINES) < ODD_SHARE
    bands = np.arange(BANDS)
    pitch, loud = chance.uniform(9, 11, MACHINES), chance.uniform(0.7, 1.3, (MACHINES, HARMONICS))
    inputs = chance.normal(0, 0.2, (MACHINES, FRAMES, BANDS))
    for harmonic in range(HARMONICS):
        peaks = np.exp(-0.5 * ((bands - pitch[:, None] * (harmonic + 1) * 1.8) / 2) ** 2)
        inputs += (loud[:, harmonic, None] * peaks)[:, None]
    wrong = np.exp(-0.5 * ((bands - chance.uniform(10, 118, MACHINES)[:, None]) / 2) ** 2)
    inputs += (0.6 * is_odd[:, None] * wrong)[:, None]
    return Table(
        inputs.reshape(MACHINES, -1).astype(np.float32),
        is_odd.astype(np.int64),
        ("usual", "odd"),
        tuple(f"frame {frame}, band {band}" for frame in range(FRAMES) for band in range(BANDS)),
    )
