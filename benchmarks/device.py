"""How much faster a device scores plans than the CPU does, and how far its results lie apart.

    python benchmarks/device.py [--json] [--device auto] [--repeats N]

resnet20 on digits at 32x32, random plans of 8 and 4 bits; both ways in turn, in one process. Without a device
there is nothing to measure, which is said.
"""

import argparse
import json
import random
import statistics
import time

import torch

from narrower.data.datasets import load_data_set
from narrower.evaluate.backends.devices_here import device_words, resolved_device
from narrower.evaluate.program_engine import ProgramEngine
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

PLANS, SAMPLES, BATCH = 40, 1000, 250


def random_plans(layers: tuple[str, ...]) -> list[Plan]:
    chance = random.Random(0)
    formats = [
        LayerPlan(FixedPoint(8, 4), FixedPoint(width, width - 1), FixedPoint(8, 4)) for width in (4, 8)
    ]
    return [Plan.of({layer: chance.choice(formats) for layer in layers}) for _ in range(PLANS)]


def seconds(engine: ProgramEngine, plans: list[Plan]) -> float:
    started = time.perf_counter()
    engine.score(plans, loss=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = resolved_device(arguments.device)
    found: dict[str, object] = {"device": device_words(device), "threads": torch.get_num_threads()}
    if device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        part = load_data_set("digits32").train.first(SAMPLES)
        torch.manual_seed(0)
        model = build_model("resnet20")
        with torch.no_grad():
            model(part.inputs)
        program = lower(trace(model.eval(), part.inputs[:3], "resnet20"))
        plans = random_plans(tuple(program.network.product_layers))

        def engine() -> ProgramEngine:
            return ProgramEngine(program, part, BATCH, {}, 2**30)

        ratios = [
            seconds(engine(), plans) / seconds(engine().on(device, 0), plans)
            for _ in range(arguments.repeats + 1)
        ][1:]
        here, there = engine().score(plans, loss=True), engine().on(device, 0).score(plans, loss=True)
        found["speed_over_cpu"] = round(statistics.median(ratios), 2)
        found["largest_difference"] = {
            name: max(abs(a.metrics[name] - b.metrics[name]) for a, b in zip(here, there, strict=True))
            for name in here[0].metrics
        }
    print(json.dumps(found, indent=2) if arguments.json else found)


if __name__ == "__main__":
    main()
