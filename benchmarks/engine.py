"""How much faster plans are scored than one at a time: median ratios of interleaved runs.

    python benchmarks/engine.py [--json] [--row NAME ...] [--repeats N]

Everything runs in this process, with one thread (``jobs2_speedup`` starts workers). Weights are random, with
batch norm statistics of the data: time does not depend on them. "Naive" evaluates one plan after the other.
For jsc-toy it builds the quantized module of each plan and runs it, for the others it runs the lowered graph
(``narrower.evaluate.definition``); where that would take minutes it is timed on a random sample of the plans,
and the row says so.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.cli.progress import search_progress
from narrower.data.datasets import load_data_set
from narrower.data.parts import Part
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.definition import Definition
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.report.record import RunRecord
from narrower.searching.space import make_slot
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.study.pose import pose
from narrower.study.problem import Problem, with_model
from narrower.study.run_facts import begin_run
from narrower.study.study import search
from narrower.transform.quantized import quantized

CONFIG = Path(__file__).parent.parent / "configs" / "jsc-toy.toml"
JETS = 16_384
SAMPLED_PLANS = 40  # on which naive evaluation is timed where all plans would take minutes


@dataclass(frozen=True)
class Row:
    """A ratio with the numbers behind it."""

    ratio: float
    ratios: tuple[float, ...]
    note: str


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def interleaved(
    numerator: Callable[[], object], denominator: Callable[[], object], scale: float, repeats: int, note: str
) -> Row:
    """The median over ``repeats`` of time(numerator) x scale / time(denominator), taken in turns."""
    pairs = [(timed(numerator) * scale, timed(denominator)) for _ in range(repeats + 1)][1:]
    ratios = tuple(a / b for a, b in pairs)
    times = ", ".join(f"{statistics.median(column):.4g} s" for column in zip(*pairs, strict=True))
    return Row(statistics.median(ratios), ratios, f"{note}; medians {times}")


def settled(model: nn.Module, inputs: Tensor) -> nn.Module:
    """The model with batch norm statistics of these inputs."""
    model.train()
    with torch.no_grad():
        model(inputs)
    return model.eval()


def jsc_problem(samples: int, **options: object) -> Problem:
    """The search of configs/jsc-toy.toml on training jets, repeated where there are not enough."""
    problem = pose(load_settings(CONFIG).settings)
    problem = with_model(problem, settled(problem.model, problem.data.train.inputs[:4096]))
    train = problem.data.train
    times = -(-samples // len(train))
    part = Part(train.inputs.repeat(times, 1), train.targets.repeat(times)).first(samples)
    return replace(problem, part=part, part_name="train", options=replace(problem.options, **options))


def whole_search(problem: Problem) -> RunRecord:
    """From the first plan that is proposed to the front on disk, with the progress bar."""
    with tempfile.TemporaryDirectory() as directory:
        run = RunDirectory(Path(directory, "run"))  # beside no other
        with begin_run(problem, run, "") as store:
            return search(problem, run, store, show_progress=search_progress)


def naive_counts(program: Program, plans: Sequence[Plan], part: Part, batch_size: int, loss: bool) -> None:
    """Run the lowered graph from its beginning for one plan after the other."""
    naive = Definition(program)
    for plan in plans:
        count(partial(naive.outputs, plan), part, batch_size, loss)


def rebuilt_counts(model: nn.Module, plans: Sequence[Plan], part: Part, batch_size: int, loss: bool) -> None:
    """Build the quantized module of one plan after the other and run it."""
    with torch.inference_mode():
        for plan in plans:
            module = quantized(model, plan)
            count(module, part, batch_size, loss)


def count(
    outputs_of: Callable[[Tensor], Tensor], part: Part, batch_size: int, loss: bool
) -> tuple[int, float]:
    correct, total = 0, 0.0
    for inputs, targets in zip(
        torch.split(part.inputs, batch_size), torch.split(part.targets, batch_size), strict=True
    ):
        outputs = outputs_of(inputs)
        correct += int((outputs.argmax(dim=1) == targets).sum())
        if loss:
            total += float(F.cross_entropy(outputs, targets, reduction="sum"))
    return correct, total


def sampled(plans: Sequence[Plan], count: int) -> list[Plan]:
    return random.Random(0).sample(list(plans), min(count, len(plans)))


def jsc_rows(repeats: int, row: str) -> Row:
    """The first three rows of the table."""
    loss = row == "jsc_exhaustive_with_loss_vs_naive"
    problem = jsc_problem(JETS)
    if loss:
        problem = replace(
            problem,
            objectives=replace(
                problem.objectives,
                each=(
                    *problem.objectives.each,
                    replace(problem.objectives.each[0], metric="loss", direction="minimize"),
                ),
            ),
        )
    program = lower(problem.program)
    batch_size = fitting_batch_size(program, JETS)
    plans = [problem.space.plan(options) for options in problem.space.enumerate()]
    if row == "jsc_exhaustive_vs_forward":

        def forward() -> None:
            with torch.inference_mode():
                for _ in range(SAMPLED_PLANS):
                    for inputs in torch.split(problem.part.inputs, batch_size):
                        problem.model(inputs)

        return interleaved(
            lambda: whole_search(problem),
            forward,
            SAMPLED_PLANS / len(plans),
            repeats,
            f"time per plan of {len(plans)} plans over a float32 forward of the module, batch {batch_size}",
        )
    some = sampled(plans, SAMPLED_PLANS)
    return interleaved(
        lambda: rebuilt_counts(problem.model, some, problem.part, batch_size, loss),
        lambda: whole_search(problem),
        len(plans) / len(some),
        repeats,
        f"{len(plans)} plans, naive timed on {len(some)} random ones, batch {batch_size}",
    )


def suffix_plans(program: Program, last: int) -> list[Plan]:
    """All plans of the last layers with products, three choices each."""
    layers = [*program.network.product_layers][-last:]
    choices = [
        LayerPlan(FixedPoint(8, 4), FixedPoint(width, width - 1), FixedPoint(8, 4)) for width in (2, 4, 8)
    ]
    return [Plan.of(zip(layers, chosen, strict=True)) for chosen in product(choices, repeat=last)]


def evaluation_row(
    program: Program, part: Part, plans: Sequence[Plan], repeats: int, naive_plans: int
) -> Row:
    batch_size = fitting_batch_size(program, len(part))
    some = sampled(plans, naive_plans)

    def engine() -> None:
        Evaluator(program, part, batch_size=batch_size).evaluate(plans)

    return interleaved(
        lambda: naive_counts(program, some, part, batch_size, False),
        engine,
        len(plans) / len(some),
        repeats,
        f"{len(plans)} plans, {len(part)} samples, naive timed on {len(some)} plans, batch {batch_size}",
    )


def resnet20() -> tuple[Program, Part]:
    data = load_data_set("digits32")
    part = data.train.first(500)
    torch.manual_seed(0)
    model = settled(build_model("resnet20"), part.inputs)
    return lower(trace(model, part.inputs[:3], "resnet20")), part


class Transformer(nn.Module):
    """Four encoder blocks over 16 tokens of 64 features, and a mean."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.encoder(x).mean(dim=1))
        return output


def transformer() -> tuple[Program, Part]:
    torch.manual_seed(0)
    inputs = torch.randn(500, 16, 64)
    program = lower(trace(Transformer().eval(), inputs[:3], "transformer"))
    return program, Part(inputs, torch.arange(500) % 10)


def suffix_row(build: Callable[[], tuple[Program, Part]], repeats: int) -> Row:
    program, part = build()
    return evaluation_row(program, part, suffix_plans(program, 5), repeats, 6)


def sensitivity_row(repeats: int) -> Row:
    program, part = resnet20()
    plans = [
        Plan.of({layer: LayerPlan(FixedPoint(8, 4), FixedPoint(width, width - 1), FixedPoint(8, 4))})
        for layer in program.network.product_layers
        for width in (2, 4, 8)
    ]
    return evaluation_row(program, part, plans, repeats, 20)


def bookkeeping_row(repeats: int) -> Row:
    """Share of the time outside evaluation."""
    problem = jsc_problem(512, sampler="random", trials=1000)
    shares = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        record = whole_search(problem)
        shares.append(1 - record.summary.evaluation_seconds / (time.perf_counter() - started))
    found = tuple(shares[1:])
    return Row(statistics.median(found), found, "1,000 random plans, 512 jets, with the summary at the end")


def memory_row(_repeats: int) -> Row:
    """In a process of its own: resident memory after 100,000 plans over that after 1,000."""
    command = [sys.executable, __file__, "--measure-memory"]
    first, last = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return Row(last / first, (last / first,), f"{first / 2**20:.0f} MiB and {last / 2**20:.0f} MiB")


def measure_memory() -> None:
    problem = pose(load_settings(CONFIG).settings)
    problem = with_model(problem, settled(problem.model, problem.data.train.inputs[:4096]))
    widths = (2, 3, 4, 5, 6, 8)
    slots = []
    for slot in problem.space.slots:
        layer = slot.layers[0]
        options = tuple(
            ((layer, LayerPlan(FixedPoint(d, d // 2), FixedPoint(w, w // 2), FixedPoint(b, b // 2))),)
            for d, w, b in product(widths, widths, widths[::2])
        )
        slots.append(make_slot(layer, slot.choices, {(n,): option for n, option in enumerate(options)}))
    space = replace(problem.space, slots=tuple(slots))
    problem = replace(problem, space=space, part=problem.data.train.first(256))
    resident = []
    for trials in (1000, 100_000):
        chosen = replace(problem, options=replace(problem.options, sampler="random", trials=trials))
        with tempfile.TemporaryDirectory() as directory:
            run = RunDirectory(Path(directory, "run"))  # beside no other
            with begin_run(chosen, run, "") as store:
                search(chosen, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * resource.getpagesize())
    print(json.dumps(resident))


def jobs_row(repeats: int) -> Row:
    problem = jsc_problem(166_000)
    both = replace(problem, backend=BackendSettings(jobs=2))
    cores = len(os.sched_getaffinity(0))
    return interleaved(
        lambda: whole_search(problem),
        lambda: whole_search(both),
        1.0,
        min(repeats, 3),
        f"166,000 rows, start of the workers included, {cores} cores",
    )


ROWS: dict[str, Callable[[int], Row]] = {
    "jsc_exhaustive_vs_naive": lambda repeats: jsc_rows(repeats, "jsc_exhaustive_vs_naive"),
    "jsc_exhaustive_with_loss_vs_naive": lambda repeats: jsc_rows(
        repeats, "jsc_exhaustive_with_loss_vs_naive"
    ),
    "jsc_exhaustive_vs_forward": lambda repeats: jsc_rows(repeats, "jsc_exhaustive_vs_forward"),
    "resnet20_suffix_vs_naive": lambda repeats: suffix_row(resnet20, min(repeats, 3)),
    "transformer_suffix_vs_naive": lambda repeats: suffix_row(transformer, min(repeats, 3)),
    "resnet20_sensitivity_vs_naive": lambda repeats: sensitivity_row(min(repeats, 3)),
    "bookkeeping_share": bookkeeping_row,
    "memory_growth": memory_row,
    "jobs2_speedup": jobs_row,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to median ratio")
    parser.add_argument(
        "--row", action="append", choices=ROWS, help="only this row; may be given several times"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure-memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measure_memory:
        measure_memory()
        return
    found = {}
    for name in arguments.row or ROWS:
        row = ROWS[name](arguments.repeats)
        found[name] = round(row.ratio, 4)
        spread = ", ".join(f"{ratio:.3g}" for ratio in row.ratios)
        print(f"{name}: {row.ratio:.3g} ({spread}); {row.note}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
