"""A small settings file for tests of whole commands."""

from pathlib import Path

TEMPLATE = """
model = "jsc-toy"
dataset = "jets"
project = "toy"
seed = 3
max_epochs = 1
batch_size = 256

[search.search_space]
name = "quantize"

[search.search_space.setup]
by = "name"

[search.search_space.seed.default.config]
name = ["NA"]
{layers}
[search.strategy.sw_runner.basic_evaluation]
num_samples = {samples}

[search.strategy.setup]
sampler = "{sampler}"
{setup}

[search.strategy.metrics]
accuracy.scale = 1.0
accuracy.direction = "maximize"
{cost}.scale = 0.2
{cost}.direction = "minimize"
"""

LAYER = """
[search.search_space.seed.{layer}.config]
name = ["integer"]
data_in_width = [4, 8]
data_in_frac_width = ["NA"]
weight_width = {weights}
weight_frac_width = ["NA"]
bias_width = {biases}
bias_frac_width = ["NA"]
"""


def settings_file(
    path: Path,
    *,
    sampler: str = "brute_force",
    setup: str = "",
    samples: int = 256,
    weights: str = "[2, 4, 8]",
    biases: str = "[2, 4, 8]",
    layers: tuple[str, ...] = ("seq_blocks_2", "seq_blocks_5", "seq_blocks_8"),
    cost: str = "average_bitwidth",
) -> Path:
    """Write a file; with the defaults its space has 5,832 plans."""
    tables = "".join(LAYER.format(layer=layer, weights=weights, biases=biases) for layer in layers)
    path.write_text(
        TEMPLATE.format(layers=tables, sampler=sampler, setup=setup, samples=samples, cost=cost),
        encoding="utf-8",
    )
    return path
