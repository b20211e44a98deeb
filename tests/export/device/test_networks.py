"""C computes what is scored, bit for bit, in networks of many kinds."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import ExportError
from narrower.export.device.network import c_network
from narrower.export.device.packing import PACKS, Pack
from narrower.graph.program import Program
from narrower.plan.plan import LayerPlan, Plan
from tests import zoo
from tests.export.device.agree import EIGHT, differing, for_all, lowered, needs_gcc, random_inputs

pytestmark = needs_gcc


class Separable(nn.Module):
    """Depthwise and pointwise convolutions, as a keyword network has them, poolings and a wide kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, (5, 3), stride=(2, 2), padding=(2, 1))
        self.norm = nn.BatchNorm2d(6)
        self.depth = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.point = nn.Conv2d(6, 8, 1)
        self.grouped = nn.Conv2d(8, 4, 3, padding="same", dilation=2, groups=2)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu6(self.point(F.relu(self.depth(x))))
        x = F.max_pool2d(self.grouped(x), 3, stride=2, padding=1, ceil_mode=True)
        return self.head(F.avg_pool2d(F.relu(x), 2, padding=1, count_include_pad=False).mean((2, 3)))


class Joined(nn.Module):
    """Values that are read in two formats and exactly, concatenated, padded, transposed and cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 4, 3, padding=1), nn.Conv1d(7, 4, 2, stride=2)
        self.mixed, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = F.leaky_relu(self.first(x), 0.25)
        y = self.second(F.pad(torch.cat([first, x], 1), (1, 1)))
        y = (y - first[:, :, 1:6]) * 0.3 + first[:, :, :5].abs()
        return self.head(self.mixed(y.transpose(1, 2)).clamp(-0.5, 2.5)[:, 2])


MODELS = {"separable": (Separable, (1, 13, 10)), "joined": (Joined, (3, 8))}
KNOWN = [name for name in zoo.MODELS if name not in ("attention", "views")]


def network(name: str) -> tuple[Program, Tensor]:
    if name in KNOWN:
        model, inputs = zoo.build(name)
        return lowered(model, inputs), inputs
    make, shape = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, inputs = make(), random_inputs(40, *shape)
        model.train()(inputs)
    return lowered(model, inputs), inputs


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("name", [*KNOWN, *MODELS])
def test_every_output_is_that_of_the_evaluation(name: str, pack: Pack, tmp_path: Path) -> None:
    program, inputs = network(name)
    count, made = differing(program, for_all(program), inputs, tmp_path, pack)
    assert count == 0
    assert made.weight_bytes <= made.constant_bytes


def test_weights_take_the_bits_that_they_have(tmp_path: Path) -> None:
    model = nn.Linear(64, 32, bias=False)
    with torch.no_grad():
        model.weight.copy_((torch.arange(64 * 32).reshape(32, 64) * 7 % 16 - 8) / 16)
    program = lowered(model, random_inputs(4, 64))
    small = c_network(program, for_all(program), "net", "size")
    fast = c_network(program, for_all(program), "net", "speed")
    assert small.weight_bytes == 64 * 32 * 4 // 8  # sixteen values: four bits
    assert fast.weight_bytes == 64 * 32


def test_weights_that_are_zero_take_one_bit() -> None:
    model = nn.Linear(64, 32, bias=False)
    with torch.no_grad():
        model.weight.zero_()[:, ::8] = (torch.arange(256).reshape(32, 8) % 15 - 7).float() / 16
    program = lowered(model, random_inputs(4, 64))
    kept = int((model.weight != 0).sum())
    made = c_network(program, for_all(program), "net", "size")
    assert made.weight_bytes == 64 * 32 // 8 + -(-kept * 4 // 8)


def test_buffers_lie_over_each_other() -> None:
    """Five layers of 64 bytes: two of them are needed at a time."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(5)))
    program = lowered(model, random_inputs(4, 64))
    made = c_network(program, for_all(program), "net", "size")
    assert made.ram_bytes == 2 * 64 + 4 * 64  # and a row of sums


@pytest.mark.parametrize(
    ("model", "layer", "reason"),
    [
        (nn.Linear(4, 3), LayerPlan(), "net: its data is float32|its data is float32"),
        (nn.Sequential(nn.Linear(4, 3), nn.GELU()), EIGHT, "gelu: it is rounded to .* too many values"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 3)), EIGHT, "softmax that others read"),
        (nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(1)), EIGHT, "log_softmax"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.GELU(), nn.Linear(4, 3)), EIGHT, "gelu: .* turns back"),
        (nn.LayerNorm(4), EIGHT, "layer_norm"),
    ],
)
def test_what_c_cannot_hold_is_refused_by_name(model: nn.Module, layer: LayerPlan, reason: str) -> None:
    program = lowered(model, random_inputs(4, 4))
    plan = for_all(program, layer) if layer != LayerPlan() else Plan()
    with pytest.raises(ExportError, match=reason):
        c_network(program, plan, "net", "size")
