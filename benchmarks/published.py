"""Our counts beside published ones: bit operations, products and sizes of networks that others counted.

    python benchmarks/published.py [--json]

- ``resnet18``, ``resnet50``: billions of bit operations and MiB of weights of the networks of HAWQ-V3 (Yao et
  al. 2021) at 224 x 224 in float32, at 8 bits, and at 4 bits with the first and last layer at 8; from
  ``transformers`` with random weights, on which counts do not depend
- ``tiny_...``: millions of products, parameters, and bytes of flash and RAM of our C for a Cortex-M4, of
  networks of MLPerf Tiny (Banbury et al. 2021), 8 bits everywhere; batch norms folded

Nothing is timed, so that every machine gives the same numbers.
"""

import argparse
import json
from math import ceil, log2

import torch
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.data.sizes import Sizes
from narrower.export.device.costs import device_costs
from narrower.export.device.network import c_network
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.mlperf_tiny import DenseAutoencoder, DepthwiseSeparable
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

MEBI = 2**20
PROCESSOR = "cortex-m4"


class Logits(nn.Module):
    """A network of transformers for pictures: [N, 3, H, W] -> [N, classes]."""

    def __init__(self, kind: str, depths: list[int], sizes: list[int]) -> None:
        super().__init__()
        from transformers import ResNetConfig, ResNetForImageClassification

        config = ResNetConfig(
            layer_type=kind, depths=depths, hidden_sizes=sizes, num_labels=1000, downsample_in_bottleneck=True
        )
        self.network = ResNetForImageClassification(config)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.network(x).logits
        return scores


def logits_of_resnet18() -> nn.Module:
    return Logits("basic", [2, 2, 2, 2], [64, 128, 256, 512])


def logits_of_resnet50() -> nn.Module:
    return Logits("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048])


def counted(model: nn.Module) -> dict[str, float]:
    """Of HAWQ-V3's three schemes: billions of bit operations, MiB of all parameters."""
    network = lower(trace(model.eval(), torch.zeros(2, 3, 224, 224), "network")).network
    cost = NetworkCost(network)
    layers = list(network.product_layers)
    found = {}
    for scheme, width in (("float32", None), ("w8a8", 8), ("w4a4", 4)):
        formats = {}
        for layer in layers if width else ():
            bits = 8 if layer in {layers[0], layers[-1]} else width
            formats[layer] = LayerPlan(FixedPoint(bits, 4), FixedPoint(bits, 4))
        figures = cost.of(Plan.of(formats))
        found[f"{scheme}_gbops"] = round(figures["bitops"] / 1e9, 1)
        weights = sum(cost.layer_weight_bits(layer, formats.get(layer, LayerPlan())) for layer in layers)
        found[f"{scheme}_mib"] = round(weights / 8 / MEBI, 2)
    return found


def on_a_processor(model: nn.Module, shape: tuple[int, ...]) -> dict[str, float]:
    """8 bits everywhere, in steps that just hold the largest weight; batch norms folded."""
    folded = fold_batch_norm(model.eval(), torch.zeros(2, *shape))
    program = lower(trace(folded, torch.zeros(2, *shape), "network"))
    cost = NetworkCost(program.network)
    layers = {}
    for name in program.network.product_layers:
        largest = float(folded.get_parameter(f"{name}.weight").detach().abs().max())
        layers[name] = LayerPlan(FixedPoint(8, 4), FixedPoint(8, 7 - ceil(log2(largest))), FixedPoint(16, 10))
    code = c_network(program, Plan.of(layers), "net", "size")
    costs = device_costs(code, PROCESSOR)
    return {
        "million_macs": round(cost.macs / 1e6, 3),
        "parameters": cost.parameter_count,
        "flash_bytes": costs.flash_bytes,
        "ram_bytes": costs.ram_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    torch.manual_seed(0)
    sounds, pictures = Sizes((1, 49, 10), 12), Sizes((640,), 640)
    found = {
        "resnet18": counted(logits_of_resnet18()),
        "resnet50": counted(logits_of_resnet50()),
        "tiny_keywords": on_a_processor(DepthwiseSeparable(sounds), (1, 49, 10)),
        "tiny_anomalies": on_a_processor(DenseAutoencoder(pictures), (640,)),
    }
    print(json.dumps(found, indent=2) if as_json else found)


if __name__ == "__main__":
    main()
