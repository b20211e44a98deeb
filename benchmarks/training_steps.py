"""How many times as long as a plain loop does training one model take?

One epoch of jsc-toy on jets: ``Core`` of the package with the figures of the validation part, and a plain
loop over tensors with fused Adam without any; taken in turns, in processor time, medians.
"""

import argparse
import json
import time
from statistics import median

import torch
from torch.nn import functional as F

from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.models.build import build_model
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe

ROUNDS = 7
SCORES = CLASSIFICATION.loss(Ending())


def plain_loop_seconds(data: DataSet, recipe: Recipe) -> float:
    """One epoch of the loop that anybody would write."""
    model = build_model("jsc-toy", seed=0).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(recipe.seed))
    batches = torch.split(order, recipe.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    inputs, targets = data.train.inputs, data.train.targets
    start = time.process_time()
    for batch in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[batch]), targets[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return time.process_time() - start


def core_seconds(data: DataSet, recipe: Recipe) -> float:
    """The same epoch as the package trains it, and how well the model does then."""
    core = Core(build_model("jsc-toy", seed=0), data.train, recipe, Losses(recipe, SCORES))
    start = time.process_time()
    core.epoch()
    core.figures(data.validation)
    return time.process_time() - start


def train_vs_plain_loop(rounds: int = ROUNDS) -> float:
    """Seconds of the package's loop by those of the plain one."""
    data, recipe = load_data_set("jets"), Recipe(max_epochs=1)
    plain_loop_seconds(data, recipe)
    core_seconds(data, recipe)
    pairs = [(core_seconds(data, recipe), plain_loop_seconds(data, recipe)) for _ in range(rounds)]
    return median(core for core, _ in pairs) / median(plain for _, plain in pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    torch.set_num_threads(1)
    found = train_vs_plain_loop()
    print(json.dumps({"train_vs_plain_loop": found}) if as_json else f"train_vs_plain_loop {found:.2f}")
