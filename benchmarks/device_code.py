"""How small packed weights are, how fast C in whole numbers is, and how far off the computed costs are.

    python benchmarks/device_code.py [--json]

``packed_ratio``: bytes of weights of 3 bits over those of 8, by ``--pack size``, of a network trained on
digits whose steps are as fine as the largest weight of each layer allows. ``c_vs_float_c``: how many times
faster a convolutional network is by ``--pack speed`` than the same network as plain loops in float32,
both compiled by gcc -O2, in turn, by the processor's own time. The errors are of code, flash, RAM and cycles
against the linker's map and QEMU's count, the largest over networks that the tables were not fitted to.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from narrower.data.datasets import load_data_set
from narrower.export.device.compiled import Build, main_text, write_files
from narrower.export.device.costs import device_costs
from narrower.export.device.emulated import emulate, is_here
from narrower.export.device.network import CNetwork, c_network
from narrower.export.device.processors import PROCESSORS
from narrower.export.manifest import versions
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

FLOAT_MAIN = """\
#include <stdio.h>
#include <string.h>
static float a[@LARGEST@], b[@LARGEST@], padded[@LARGEST@ * 2];
@WEIGHTS@
static void convolve(float *y, const float *x, const float *w, const float *bias, int in, int out, int size,
                     int stride, int made)
{
    int o, r, c, i, j, k;
    memset(padded, 0, sizeof padded);
    for (i = 0; i < in; i++)
        for (r = 0; r < size; r++)
            memcpy(padded + (i * (size + 2) + r + 1) * (size + 2) + 1, x + (i * size + r) * size, 4 * size);
    for (o = 0; o < out; o++)
        for (r = 0; r < made; r++)
            for (c = 0; c < made; c++) {
                float sum = bias[o];
                for (i = 0; i < in; i++)
                    for (j = 0; j < 3; j++)
                        for (k = 0; k < 3; k++)
                            sum += w[((o * in + i) * 3 + j) * 3 + k]
                                   * padded[(i * (size + 2) + r * stride + j) * (size + 2) + c * stride + k];
                y[(o * made + r) * made + c] = sum > 0 ? sum : 0;
            }
}
static void dot(float *y, const float *x, const float *w, const float *bias, int in, int out)
{
    int o, i;
    for (o = 0; o < out; o++) {
        float sum = bias[o];
        for (i = 0; i < in; i++)
            sum += w[o * in + i] * x[i];
        y[o] = sum;
    }
}
int main(void)
{
    static float input[@INPUTS@], output[@OUTPUTS@];
    while (fread(input, sizeof input, 1, stdin) == 1) {
@CALLS@
        fwrite(output, sizeof output, 1, stdout);
    }
    return 0;
}
"""
SIZE, SAMPLES, ROUNDS = 24, 60, 5


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * (SIZE // 2) ** 2, 10),
    ).eval()  # fmt: skip


def as_c(model: nn.Module, inputs: torch.Tensor, width: int, pack: str) -> CNetwork:
    program = lower(trace(model, inputs[:2], "net"))
    layer = LayerPlan(FixedPoint(8, 4), FixedPoint(width, width + 2), FixedPoint(8, 5))
    layers = {n.meta["layer"]: layer for n in program.graph.nodes if "layer" in n.meta}
    return c_network(program, Plan.of(layers), "net", pack)  # type: ignore[arg-type]


def trained() -> tuple[nn.Module, torch.Tensor]:
    """A convolutional network for digits after five epochs, and some samples."""
    torch.manual_seed(0)
    part = load_data_set("digits").train
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(5):
        for rows in torch.randperm(len(part.targets)).split(64):
            loss = nn.functional.cross_entropy(model(part.inputs[rows]), part.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval(), part.inputs[:2]


def weight_bytes(model: nn.Module, inputs: torch.Tensor, width: int) -> int:
    """Of all products, in formats of one width that just hold the largest weight of each."""
    program = lower(trace(model, inputs, "net"))
    layers = {}
    for node in program.graph.nodes:
        if "layer" in node.meta:
            largest = float(model.get_parameter(f"{node.meta['layer']}.weight").detach().abs().max())
            weight = FixedPoint(width, width - 1 - int(np.ceil(np.log2(largest))))
            layers[node.meta["layer"]] = LayerPlan(FixedPoint(8, 4), weight, FixedPoint(8, 5))
    return c_network(program, Plan.of(layers), "net", "size").weight_bytes


def float_text(model: nn.Sequential) -> str:
    weights, calls, size, source = [], [], SIZE, "input"
    for number, layer in enumerate(model):
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        for name, tensor in (("w", layer.weight), ("b", layer.bias)):
            values = ", ".join(f"{v!r}f" for v in tensor.detach().flatten().tolist())
            weights.append(f"static const float {name}{number}[] = {{{values}}};")
        target = "output" if isinstance(layer, nn.Linear) else "b" if source == "a" else "a"
        if isinstance(layer, nn.Conv2d):
            made = size // layer.stride[0]
            numbers = f"{layer.in_channels}, {layer.out_channels}, {size}, {layer.stride[0]}, {made}"
            calls.append(f"convolve({target}, {source}, w{number}, b{number}, {numbers});")
            size = made
        else:
            calls.append(
                f"dot({target}, {source}, w{number}, b{number}, {layer.in_features}, {layer.out_features});"
            )
        source = target
    filled = {"LARGEST": 32 * SIZE * SIZE, "WEIGHTS": "\n".join(weights), "INPUTS": 3 * SIZE * SIZE,
              "OUTPUTS": 10, "CALLS": "\n".join(calls)}  # fmt: skip
    text = FLOAT_MAIN
    for mark, value in filled.items():
        text = text.replace(f"@{mark}@", str(value))
    return text


def user_seconds(program: Path, given: bytes) -> tuple[float, bytes]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    said = subprocess.run([str(program)], input=given, capture_output=True, check=True).stdout
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, said


def c_vs_float_c(directory: Path) -> float:
    """The median of the ratios of user times, in turn; both give the same classes but for rounding."""
    model = network()
    inputs = torch.randn(SAMPLES, 3, SIZE, SIZE)
    made = as_c(model, inputs, 8, "speed")
    write_files(made, directory)
    (directory / "main.c").write_text(main_text(made))
    (directory / "float.c").write_text(float_text(model))
    build = Build("gcc", ("-O2",))
    for name, sources in (("whole", ["main.c", "net.c"]), ("float", ["float.c"])):
        command = [build.compiler, "-std=c99", *build.options, *sources, "-o", name]
        subprocess.run(command, cwd=directory, check=True)
    given, ratios = inputs.numpy().tobytes() * 4, []
    for _ in range(ROUNDS):
        (plain, said), (whole, _) = (user_seconds(directory / name, given) for name in ("float", "whole"))
        ratios.append(plain / whole)
    with torch.inference_mode():
        own = model(inputs).numpy()
    np.testing.assert_allclose(np.frombuffer(said, np.float32).reshape(-1, 10)[:SAMPLES], own, atol=1e-4)
    return float(np.median(ratios))


def cost_errors(directory: Path, seeds: range) -> dict[str, dict[str, float]]:
    """The largest relative errors of the computed costs, by processor."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
    from calibrate_processors import made

    found = {}
    for name, processor in PROCESSORS.items():
        if not seeds or not is_here(processor):
            continue
        errors: dict[str, list[float]] = {"code": [], "flash": [], "ram": [], "cycles": []}
        for seed in seeds:
            network_, inputs = made(seed)
            costs = device_costs(network_, name)
            ran = emulate(network_, processor, inputs.numpy(), directory / f"{name}-{seed}")
            errors["code"].append(costs.code_bytes / ran.code_bytes - 1)
            errors["flash"].append(costs.flash_bytes / ran.flash_bytes - 1)
            errors["ram"].append(costs.ram_bytes / ran.ram_bytes - 1)
            errors["cycles"].append(costs.cycles / int(ran.instructions[0]) - 1)
        found[name] = {key: round(float(np.abs(values).max()), 4) for key, values in errors.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=6, help="networks whose costs are measured")
    given = parser.parse_args()
    three, eight = (weight_bytes(*trained(), width) for width in (3, 8))
    with tempfile.TemporaryDirectory() as directory:
        result = {
            "packed_ratio": round(three / eight, 4),
            "c_vs_float_c": round(c_vs_float_c(Path(directory)), 3),
            "errors": cost_errors(Path(directory), range(300, 300 + given.seeds)),
            "machine": platform.processor() or platform.machine(),
            "versions": versions(),
        }
    print(json.dumps(result, indent=1) if given.json else "\n".join(f"{k}: {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
