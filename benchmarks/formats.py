"""What number formats, calibration and mixing are worth: accuracies with intervals, over several trainings.

    python benchmarks/formats.py [--json] [--model NAME ...] [--seeds N] [--quick] [--keep FOLDER]

Every row is a mean over trainings with other seeds and its 95 % interval, of samples that neither trained nor
chose anything; a row of a difference (``..._minus_...``, in percentage points) is paired by sample and
training, and says in how many trainings McNemar's test finds the first better (less those of the second).
Batch norms are folded. ``jsc-toy`` on jets is looked at on 11,000 test jets, ``resnet20`` and ``mobile`` on
647 of scikit-learn's digits: ``resnet20`` at 32x32, ``mobile`` at 8x8, unless ``--data`` says otherwise for
both. ``mobile`` is a network of depthwise separable convolutions: with folded batch norms, the ranges of its
channels differ far more than those of ``resnet20``. ``--keep`` writes what a training gave into a folder and
takes it from there.

- ``w4_auto_minus_na``, ``w8_...``: calibrated fractions against half of the width, at equal bits
- ``w8_minus_float32``: 8 bits everywhere, calibrated
- ``w4_per_channel_minus_per_tensor``: affine weights, data in 8 bits; scales lose least by the squared error,
  with ``max`` in the name hold every weight, and with ``outputs`` lose least in the outputs
- ``w3_adaround_minus_nearest``: learned rounding, data in 8 bits
- ``mxfp4`` and so on: the accuracy with data and weights in the format
- ``mixed_minus_uniform_at_...``: the best plan of a search of the validation part against the best uniform
  plan of the space, both with at most so many bit operations (those of the named uniform plan); every plan of
  ``jsc-toy``, and of ``mobile`` ``--trials`` of the guided sampler under that bound (0 unless given: none)
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, sqrt
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn

import narrower
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet, Part
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.learned_rounding import with_learned_rounding
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.signs import unsigned_layers
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.ending import ending_of
from narrower.plan.plan import Plan, plan_from_dict
from narrower.searching.build_space import build_space
from narrower.searching.space import Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.tasks.classification.task import Classification
from narrower.tasks.paired import is_better
from narrower.tasks.spread import interval_of_trainings
from narrower.tasks.task import leading
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe

Hits = np.ndarray  # of each training and sample: [S, N]
DATA_SETS = {"jsc-toy": "jets", "mobile": "digits", "resnet20": "digits32"}
RECIPES = {
    "jsc-toy": Recipe(max_epochs=10, batch_size=256, learning_rate=1e-2),
    "resnet20": Recipe(max_epochs=8, batch_size=64, learning_rate=1e-2),
    "mobile": Recipe(max_epochs=8, batch_size=64, learning_rate=1e-2),
}
MOBILE = ((32, 1), (32, 1), (64, 2), (64, 1))  # outputs and stride of each separable convolution
WHOLE = ("mxfp4", "mxfp6", "mxfp8", "mxint8", "e4m3fn", "e5m2", "e2m1")
WEIGHTS, DATA = (2, 3, 4, 6, 8), (3, 4, 6, 8)  # of the searched space
BUDGETS = ((3, 4), (4, 4))  # weight and data bits of uniform plans
SEARCHED_BUDGETS = ((2, 4), (3, 4), (4, 4))  # of networks too large for every plan
FRACTIONS = ("data_frac", "weight_frac", "bias_frac")
SAMPLES = 512  # on which rounding is learned
IN_DOUBLE = 0.975


@dataclass(frozen=True)
class Trained:
    """One training, and what rounds it."""

    model: nn.Module
    program: Program
    calibration: Calibration
    data: DataSet
    held_out: Part

    def space(self, choices: LayerChoices) -> Space:
        settings = SpaceSettings("name", (), choices, sign="auto")
        return build_space(self.program.network, settings, self.calibration.fraction, values=self.calibration)

    def plan(self, choices: LayerChoices) -> Plan:
        """The only plan of such a space."""
        space = self.space(choices)
        return space.plan(space.options_at(0))

    def hits(self, plan: Plan, program: Program | None = None) -> np.ndarray:
        found: np.ndarray = Evaluator(program or self.program, self.held_out).contributions([plan])[0].numpy()
        return found


def mobile() -> nn.Module:
    """Depthwise separable convolutions (Howard et al. 2017): [N, 1, 8, 8] or larger -> [N, 10]."""
    layers: list[nn.Module] = _convolution(1, 16, 3, 1, 1)
    inputs = 16
    for outputs, stride in MOBILE:
        layers += [*_convolution(inputs, inputs, 3, stride, inputs), *_convolution(inputs, outputs, 1, 1, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def trained(name: str, data: DataSet, seed: int) -> Trained:
    torch.manual_seed(seed)
    recipe = RECIPES[name]
    model = train_weights(
        mobile() if name == "mobile" else build_model(name, seed=seed, sizes=data.sizes),
        data.train,
        Recipe(recipe.max_epochs, recipe.batch_size, recipe.learning_rate, seed=seed),
    )
    folded = fold_batch_norm(model, data.examples).eval()
    program = lower(trace(folded, data.examples, name))
    unsigned = unsigned_layers(program.network)
    taught = data.task.loss(ending_of(folded, data.train.arguments, program.network)).taught
    calibration = Calibration(program, *data.train.arguments, unsigned=unsigned, taught=taught)
    held_out = data.test
    if name != "jsc-toy":
        parts = (data.validation, data.test)
        held_out = Part(*(torch.cat([getattr(p, what) for p in parts]) for what in ("inputs", "targets")))
    return Trained(folded, program, calibration, data, held_out)


def fixed(weight: int, data: int, fraction: str) -> LayerChoices:
    wide = OperandChoices((8,), (fraction,))
    return LayerChoices(
        ("fixed",), OperandChoices((data,), (fraction,)), OperandChoices((weight,), (fraction,)), wide
    )


RANGES = {"": "mse", "max_": "max", "outputs_": "cross_entropy"}


def affine(weight: int, per: str, ranges: str = "mse") -> LayerChoices:
    weights = OperandChoices((weight,), others=(("per", (per,)), ("range", (ranges,))))
    return LayerChoices(("affine",), OperandChoices((8,)), weights, OperandChoices(("NA",)))


def rows_of(one: Trained, name: str, *, is_quick: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Names of what is looked at, with the samples that were got right."""
    is_large = name == "resnet20"
    yield "float32", one.hits(Plan())
    for width in (4, 8) if is_large else (4, 6, 8):
        for fraction in ("auto", "NA"):
            yield f"w{width}_{fraction.lower()}", one.hits(one.plan(fixed(width, 8, fraction)))
    for width in (4,) if is_large else (3, 4):
        for per in ("channel", "tensor"):
            for of, ranges in RANGES.items():
                if ranges != "cross_entropy" or name == "mobile":
                    yield f"w{width}_{of}per_{per}", one.hits(one.plan(affine(width, per, ranges)))
    for word in WHOLE:
        yield word, one.hits(one.plan(LayerChoices((word,))))
    if is_quick:
        return
    plan = one.plan(affine(3, "channel"))
    learned = with_learned_rounding(one.model, plan, one.data.train.inputs[:SAMPLES])
    yield "w3_adaround", one.hits(plan, lower(trace(learned, one.data.examples)))


DIFFERENCES = (
    *((f"w{width}_auto", f"w{width}_na", f"w{width}_auto_minus_na") for width in (4, 6, 8)),
    ("w8_auto", "float32", "w8_minus_float32"),
    *(
        (f"w{w}_{of}per_channel", f"w{w}_{of}per_tensor", f"w{w}_{of}per_channel_minus_per_tensor")
        for w in (3, 4)
        for of in RANGES
    ),
    ("w3_adaround", "w3_per_channel", "w3_adaround_minus_nearest"),
)


def mixed_rows(one: Trained) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For each budget what the best plan of the space and the best uniform one get right."""
    auto = ("auto",)
    choices = LayerChoices(
        ("fixed",), OperandChoices(DATA, auto), OperandChoices(WEIGHTS, auto), OperandChoices((8,), auto)
    )
    space, cost = one.space(choices), NetworkCost(one.program.network)
    plans = [space.plan(options) for options in space.enumerate()]
    scores = [q.metrics["accuracy"] for q in Evaluator(one.program, one.data.validation).evaluate(plans)]
    bitops = np.array([cost.totals(plan)["bitops"] for plan in plans])
    is_uniform = np.array(
        [len({(p.weight.bits, p.data.bits) for _, p in plan.layers}) == 1 for plan in plans]
    )
    accuracy = np.array(scores)
    for weight, data in BUDGETS:
        budget = next(
            own
            for own, plan, uniform in zip(bitops, plans, is_uniform, strict=True)
            if uniform and (plan.layers[0][1].weight.bits, plan.layers[0][1].data.bits) == (weight, data)
        )
        admitted = bitops <= budget
        best = int(np.where(admitted, accuracy, -1).argmax())
        uniform = int(np.where(admitted & is_uniform, accuracy, -1).argmax())
        yield f"mixed_minus_uniform_at_w{weight}d{data}", one.hits(plans[best]), one.hits(plans[uniform])


def searched_rows(one: Trained, seed: int, trials: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The same of a space that is too large: of the plans that the guided sampler proposes under a budget."""
    cost, evaluator = NetworkCost(one.program.network), Evaluator(one.program, one.data.validation)
    uniform = [one.plan(fixed(weight, data, "auto")) for weight in WEIGHTS for data in DATA]
    bitops = [cost.totals(plan)["bitops"] for plan in uniform]
    scores = [quality.metrics["accuracy"] for quality in evaluator.evaluate(uniform)]
    for weight, data in SEARCHED_BUDGETS:
        budget = cost.totals(one.plan(fixed(weight, data, "auto")))["bitops"]
        rival = max(
            (score, -own, place)
            for place, (score, own) in enumerate(zip(scores, bitops, strict=True))
            if own <= budget
        )[-1]
        found = narrower.search(
            one.model,
            one.data,
            {".*": {"data": DATA, "weight": WEIGHTS, "bias": [8], **{key: ["auto"] for key in FRACTIONS}}},
            ["accuracy", "bitops"],
            by="regex",
            constraints={"bitops": (None, budget)},
            sampler="guided",
            n_trials=trials,
            uniform_first=True,
            sign="auto",
            seed=seed,
        )
        mixed = plan_from_dict(found.best(max={"bitops": budget}).plan)
        yield f"mixed_minus_uniform_at_w{weight}d{data}", one.hits(mixed), one.hits(uniform[rival])


def difference(own: Hits, other: Hits) -> tuple[float, float, float, int]:
    """The mean difference in points and its 95 % interval, of chance of the samples and of the trainings.

    The last number: in how many trainings McNemar's test finds the first better, less those of the other.
    """
    each = own.astype(float) - other.astype(float)
    mean, samples = each.mean(), each.mean(axis=0)
    chance = stats.norm.ppf(IN_DOUBLE) * samples.std() / sqrt(len(samples))
    if len(each) > 1:
        spread = each.mean(axis=1).std(ddof=1) / sqrt(len(each))
        chance = hypot(chance, stats.t.ppf(IN_DOUBLE, len(each) - 1) * spread)
    low, high = mean - chance, mean + chance
    metric = leading(Classification())
    won = [
        is_better(metric, one, two) - is_better(metric, two, one) for one, two in zip(own, other, strict=True)
    ]
    return round(100 * mean, 3), round(100 * low, 3), round(100 * high, 3), sum(won)


BOTH = ("own ", "other ")  # how rows of two plans begin where they are kept


def of_training(name: str, data: DataSet, seed: int, trials: int, *, is_quick: bool) -> dict[str, np.ndarray]:
    """What one training got right in every row; of a difference, what each of both did."""
    one = trained(name, data, seed)
    found = dict(rows_of(one, name, is_quick=is_quick))
    if name == "jsc-toy" or (trials and name == "mobile"):
        mixed = mixed_rows(one) if name == "jsc-toy" else searched_rows(one, seed, trials)
        found |= {start + row: each for row, *both in mixed for start, each in zip(BOTH, both, strict=True)}
    return found


def measured(
    name: str, seeds: int, keep: Path | None, train: Callable[[int], dict[str, np.ndarray]]
) -> dict[str, Sequence[float]]:
    hits: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        file = None if keep is None else keep / f"{name}-{seed}.npz"
        found = train(seed) if file is None or not file.exists() else dict(np.load(file))
        if file is not None and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, **found)
        for row, each in found.items():
            hits.setdefault(row, []).append(each)
    pairs = {row.removeprefix(BOTH[0]): hits.pop(row) for row in list(hits) if row.startswith(BOTH[0])}
    others = {row.removeprefix(BOTH[1]): hits.pop(row) for row in list(hits) if row.startswith(BOTH[1])}
    metric = leading(Classification())
    rows: dict[str, Sequence[float]] = {}
    for row, found_in in hits.items():
        together = np.stack(found_in)
        low, high = interval_of_trainings(metric, together)
        rows[row] = [round(float(value), 4) for value in (together.mean(), low, high)]
    for own, other, row in DIFFERENCES:
        if own in hits and other in hits:
            rows[row] = difference(np.stack(hits[own]), np.stack(hits[other]))
    for row, own_hits in pairs.items():
        rows[row] = difference(np.stack(own_hits), np.stack(others[row]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: model, row, three numbers"
    )
    parser.add_argument("--model", action="append", choices=list(DATA_SETS))
    parser.add_argument(
        "--data", choices=("digits", "digits32"), help="of resnet20 and mobile; else 32x32 and 8x8"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=0, help="of a search of mobile")
    parser.add_argument("--keep", type=Path, help="a folder for what trainings gave")
    parser.add_argument("--quick", action="store_true", help="without learned rounding")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in arguments.model or DATA_SETS:
        chosen = DATA_SETS[name] if name == "jsc-toy" else arguments.data or DATA_SETS[name]
        train = partial(
            of_training, name, load_data_set(chosen), trials=arguments.trials, is_quick=arguments.quick
        )
        found[name] = measured(name, arguments.seeds, arguments.keep, train)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, rows in found.items():
        for row, (value, low, high, *won) in rows.items():
            said = f"  better in {won[0]} of {arguments.seeds}" if won else ""
            print(f"{name:10} {row:36} {value:8.4f}  {low:8.4f} to {high:8.4f}{said}")


if __name__ == "__main__":
    main()
