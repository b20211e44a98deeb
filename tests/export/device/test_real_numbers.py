"""Arithmetic on the bits of float32 numbers, in C without floats, is that of the processor."""

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrower.export.device.compiled import SANITIZERS, WARNINGS
from narrower.export.device.runtime_typed import LIBRARY
from tests.export.device.agree import needs_gcc

pytestmark = needs_gcc
MAIN = """\
#include <stdint.h>
#include <stdio.h>
@TEXT@
int main(void)
{
    uint32_t pair[2];
    while (fread(pair, sizeof pair, 1, stdin) == 1) {
        const uint32_t found[3] = {real_sum(pair[0], pair[1]), real_product(pair[0], pair[1]),
                                   pair[1] << 1 ? real_quotient(pair[0], pair[1]) : 0};
        int64_t whole[4] = {real_whole(pair[0], 3, 0), real_whole(pair[0], 3, 1), real_whole(pair[0], -2, 2),
                            real_key(pair[0]) > real_key(pair[1])};
        fwrite(found, sizeof found, 1, stdout);
        fwrite(whole, sizeof whole, 1, stdout);
    }
    return 0;
}
"""
USED = ("real_sum", "real_product", "real_quotient", "real_whole", "real_key")


def text_of(names: tuple[str, ...]) -> str:
    found: dict[str, None] = {}

    def use(name: str) -> None:
        for needed in LIBRARY[name].needs:
            use(needed)
        found.setdefault(name)

    for name in names:
        use(name)
    return "\n".join(LIBRARY[name].text for name in found)


def computed(directory: Path, pairs: NDArray[np.float32]) -> NDArray[np.void]:
    program = directory / "real"
    if not program.is_file():
        (directory / "real.c").write_text(MAIN.replace("@TEXT@", text_of(USED)))
        options = [*WARNINGS, *SANITIZERS, "-O1"]
        subprocess.run(["gcc", *options, str(directory / "real.c"), "-o", str(program)], check=True)
    raw = subprocess.run([str(program)], input=pairs.tobytes(), capture_output=True, check=True).stdout
    return np.frombuffer(raw, [("real", "<f4", 3), ("whole", "<i8", 4)])


def check(directory: Path, pairs: NDArray[np.float32]) -> None:
    found = computed(directory, pairs)
    a, b = pairs[:, 0], pairs[:, 1]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found["real"][:, 0], a + b)
        np.testing.assert_array_equal(found["real"][:, 1], a * b)
        normal = (
            (np.abs(a) > 1e-30) & (b != 0) & (np.abs(a / b) > 1e-37)
        )  # constants divide, and no tiny numbers
        np.testing.assert_array_equal(found["real"][normal, 2], (a / b)[normal])
    steps = a.astype(np.float64)
    near = np.abs(steps) < 2**40
    np.testing.assert_array_equal(found["whole"][near, 0], np.rint(steps * 8)[near])
    np.testing.assert_array_equal(found["whole"][near, 1], np.floor(steps * 8 + 0.5)[near])
    np.testing.assert_array_equal(found["whole"][near, 2], np.floor(steps / 4)[near])
    np.testing.assert_array_equal(found["whole"][:, 3] == 1, a > b)


def test_random_bits(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    bits = chance.integers(0, 2**32, (200_000, 2), dtype=np.uint32)
    near = bits.copy()
    near[:, 1] = near[:, 0] ^ chance.integers(0, 2**26, len(near), dtype=np.uint32)  # like exponents
    pairs = np.concatenate([bits, near]).view(np.float32)
    check(tmp_path, pairs[np.isfinite(pairs).all(1)])


def test_ties_zeros_and_the_ends_of_the_range(tmp_path: Path) -> None:
    exact = np.arange(-40, 41) / 16
    ends = [0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 2.0**24, 2.0**24 + 2]
    numbers = np.concatenate([exact, ends]).astype(np.float32)
    check(tmp_path, np.stack(np.meshgrid(numbers, numbers), -1).reshape(-1, 2))
