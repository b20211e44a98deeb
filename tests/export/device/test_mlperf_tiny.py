"""C of MLPerf Tiny's networks gives what the evaluation gives, from every compiler at every level."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.evaluate.definition import Definition
from narrower.export.device.compiled import Build, builds, run_compiled, write_files
from narrower.export.device.network import c_network
from narrower.export.device.packing import PACKS, Pack
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.export.device.agree import CHECKED, lowered, needs_gcc, random_inputs
from tests.export.device.mlperf_tiny import KeywordNetwork, ResNet8, autoencoder

pytestmark = needs_gcc
SMALL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "keywords": (lambda: KeywordNetwork(channels=6, blocks=2), (1, 49, 10)),
    "autoencoder": (lambda: autoencoder(40, 16, 4), (40,)),
    "resnet8": (lambda: ResNet8(4, size=16), (3, 16, 16)),
}
FULL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "keywords": (KeywordNetwork, (1, 49, 10)),
    "autoencoder": (autoencoder, (640,)),
    "resnet8": (ResNet8, (3, 32, 32)),
}
SAMPLES, SANITIZED = 30, 4


def agree(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    pack: Pack,
    directory: Path,
    plain: list[Build],
    sanitized: list[Build],
) -> None:
    """Weights of 2 to 5 bits and data of 4 to 8, another pair for each layer."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model, inputs = make(), random_inputs(SAMPLES, *shape)
        model.train()(inputs)
    program = lowered(model, inputs)
    names = [node.meta["layer"] for node in program.graph.nodes if "layer" in node.meta]
    plan = Plan.of(
        {
            name: LayerPlan(
                FixedPoint(4 + i % 5, 1 + i % 4), FixedPoint(2 + i % 4, 1 + i % 4), FixedPoint(8, 5)
            )
            for i, name in enumerate(dict.fromkeys(names))
        }
    )
    network = c_network(program, plan, "net", pack)
    write_files(network, directory)
    own = Definition(program).outputs(plan, inputs).numpy().reshape(SAMPLES, -1)
    assert own.std() > 0
    for count, some in ((SAMPLES, plain), (SANITIZED, sanitized)):
        for build in some:
            found = run_compiled(network, directory, build, inputs[:count].numpy())
            assert (found == own[:count]).all(), build.text


@pytest.mark.parametrize("name", list(SMALL))
def test_one_build_of_each_compiler_agrees(name: str, tmp_path: Path) -> None:
    some = {build.compiler: build for build in builds(sanitized=False)}
    agree(*SMALL[name], "speed" if name == "keywords" else "size", tmp_path, list(some.values()), [CHECKED])


@pytest.mark.slow
@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("name", list(FULL))
def test_every_build_of_the_whole_network_agrees(name: str, pack: Pack, tmp_path: Path) -> None:
    agree(*FULL[name], pack, tmp_path, builds(sanitized=False), builds(sanitized=True))
