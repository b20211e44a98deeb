"""The process keeps to the memory that it was allowed."""

import subprocess
import sys

import pytest

MEASURE = """
import random, resource, threading, time
from pathlib import Path
import torch
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.formats.fixed import FixedPoint
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.plan import LayerPlan, Plan
from narrower.models.build import build_model
from narrower.data.parts import Part

torch.set_num_threads(1)
inputs = torch.randn(256, 3, 32, 32, generator=torch.Generator().manual_seed(0))
part = Part(inputs, torch.arange(256) % 10)
program = lower(trace(build_model("resnet20").eval(), inputs[:3]))
chance = random.Random(0)
choices = [LayerPlan(FixedPoint(8, 4), FixedPoint(w, w - 1), FixedPoint(8, 4)) for w in range(2, 9)]

def plans(count):
    layers = program.network.product_layers
    return [Plan.of({layer: chance.choice(choices) for layer in layers}) for _ in range(count)]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def watch():
    while watching:
        peaks.append(resident())
        time.sleep(0.005)

budget = 96 * 2**20
Evaluator(program, part, batch_size=64, cache_bytes=0).evaluate(plans(2))
before, peaks, watching = resident(), [], True
thread = threading.Thread(target=watch)
thread.start()
evaluator = Evaluator(program, part, batch_size=64, cache_bytes=budget)
for _ in range(6):
    evaluator.evaluate(plans(8))
watching = False
thread.join()
print((max(peaks) - before) / budget)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resident_memory_grows_by_at_most_a_quarter_more_than_the_budget() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    growth = float(done.stdout)
    assert 0.3 < growth <= 1.25
