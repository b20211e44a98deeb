"""What a person waits for, in seconds or milliseconds: medians.

    python benchmarks/wait.py [--json] [--row NAME ...] [--repeats N]

- ``one_plan_seconds``: ``narrower search`` of one plan of configs/jsc-toy.toml with given weights, a process
- ``help_seconds``, ``check_wrong_file_seconds``: ``narrower --help`` and ``narrower check`` of a file with a
  misspelt key, as processes
- ``torch_import_seconds``: a process that imports PyTorch and nothing else, to compare with
- ``tpe_ms_at_150``, ``tpe_ms_at_5000``: milliseconds that a trial of tpe takes besides scoring (512 jets,
  accuracy and average bit width, three layers with widths of 2 to 8 bits), over the 50 trials up to there
- ``nsgaii_4800_seconds``, ``nsgaiii_4800_seconds``: a whole search in this process, 512 jets
- ``tpe_150_seconds``: ``narrower search`` of 150 trials of tpe on 512 jets with given weights, a process
- ``plain_150_seconds``, ``plain_first_seconds``: the same with the loop of plain_search.py, a process, and
  when its first trial has ended; ``times_plain``: by how much ours is faster, in turns
- ``guided_300_seconds``: 300 trials of the guided sampler, without the time in which plans are scored
- ``gp_30_seconds``: 30 trials of gp, without the time in which plans are scored
- ``single_plan_overhead_ms_512``: what scoring one new plan takes more than a forward of the lowered network
- ``random16_ms_8800``: milliseconds for each of 16 new random plans that are scored at once on 8,800 jets
- ``train_vs_plain_loop``: an epoch of jsc-toy on jets, by that of a plain loop with fused Adam

Models are trained here first, for one epoch. Everything runs with one thread.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional
from training_steps import train_vs_plain_loop

from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.definition import Definition
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.searching.known import Known
from narrower.searching.loop import Budget, Loop
from narrower.searching.samplers.build import build_sampler
from narrower.settings.from_options import settings_from_options
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.pose import pose
from narrower.study.problem import Problem, with_model
from narrower.study.run_facts import begin_run
from narrower.study.study import search
from narrower.tasks.quality import Quality

CONFIG = Path(__file__).parent.parent / "configs" / "jsc-toy.toml"
PLAIN = Path(__file__).parent / "plain_search.py"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
NARROWER = (sys.executable, "-m", "narrower")
WIDTHS = [str(width) for width in range(2, 9)]
FEW, MANY = 512, 8800  # jets
WINDOW = 50  # trials of which the median is taken


def settled(problem: Problem) -> Problem:
    """The problem with weights that know a little."""
    model, part = problem.model.train(), problem.data.train
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for start in range(0, len(part), 256):
        some = part.between(start, start + 256)
        optimizer.zero_grad()
        functional.cross_entropy(model(some.inputs), some.targets).backward()
        optimizer.step()
    return with_model(problem, model.eval())


@cache
def jsc() -> Problem:
    """Of configs/jsc-toy.toml."""
    return settled(pose(load_settings(CONFIG).settings))


@cache
def large() -> Problem:
    """More plans than any search here tries."""
    settings = settings_from_options(
        layers=".*",
        widths={"data_in": WIDTHS, "weight": WIDTHS, "bias": ["4", "8"]},
        fractions="NA",
        rounding=None,
        objectives=["accuracy", "average_bitwidth"],
        bounds=[],
        setup={"sampler": "random", "n_trials": 100},
        samples=None,
        top={"model": "jsc-toy", "dataset": "jets"},
    )
    return settled(pose(settings))


def of_process(command: Sequence[str], directory: Path) -> float:
    """Seconds from start to end of a process that may end with 2."""
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=directory, env=ONE_THREAD, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if ended.returncode not in (0, 2):
        raise RuntimeError(ended.stderr.decode())
    return seconds


def processes(command: Callable[[Path], Sequence[str]], repeats: int) -> float:
    """The median over processes, after one that fills the caches of files."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        arguments = command(directory)
        return statistics.median([of_process(arguments, directory) for _ in range(repeats + 1)][1:])


def one_plan(directory: Path) -> Sequence[str]:
    weights = directory / "weights.safetensors"
    save_file(dict(jsc().model.state_dict()), weights)
    options = "--load", str(weights), "--trials", "1"
    return (*NARROWER, "search", "--config", str(CONFIG), *options)


@dataclass(frozen=True)
class Beside:
    """Seconds of whole processes of 150 trials, and until the first trial of the plain one has ended."""

    ours: float
    plain: float
    first: float
    times: float


@cache
def beside_plain(repeats: int) -> Beside:
    """Ours and the plain loop in turns."""
    problem = jsc()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        weights, both = directory / "weights.safetensors", directory / "both.safetensors"
        state = dict(problem.model.state_dict())
        save_file(state, weights)
        part = problem.part.first(FEW)
        samples = {"inputs": part.inputs.contiguous(), "targets": part.targets.contiguous()}
        save_file({**state, **samples}, both)
        search = "search", "--config", str(CONFIG), "--load", str(weights), "--sampler", "tpe"
        own = *NARROWER, *search, "--trials", "150", "--samples", str(FEW)
        loop = sys.executable, str(PLAIN), str(both), str(FEW), "150"
        found = []
        for _ in range(repeats + 1):
            ours = of_process(own, directory)
            started = time.time()
            output = subprocess.run(
                loop, cwd=directory, env=ONE_THREAD, capture_output=True, check=True
            ).stdout
            plain = time.time() - started
            found.append((ours, plain, json.loads(output)["first"] - started, plain / ours))
    return Beside(*map(statistics.median, zip(*found[1:], strict=True)))


def wrong_file(directory: Path) -> Sequence[str]:
    file = directory / "wrong.toml"
    file.write_text(CONFIG.read_text().replace("max_epochs", "max_epoch"))
    return (*NARROWER, "check", str(file))


class Watched:
    """Scores plans and remembers when that began and ended."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.times: list[tuple[float, float]] = []

    def __call__(self, plans: Sequence[Plan]) -> list[Quality]:
        started = time.perf_counter()
        found = self._evaluator.evaluate(plans)
        self.times.append((started, time.perf_counter()))
        return found

    @property
    def pauses(self) -> list[float]:
        """Seconds between the scorings."""
        return [after[0] - before[1] for before, after in zip(self.times, self.times[1:], strict=False)]


@contextmanager
def stored(problem: Problem) -> Iterator[TrialStore]:
    with (
        tempfile.TemporaryDirectory() as directory,
        begin_run(problem, RunDirectory(Path(directory)), "") as store,
    ):
        yield store


def pauses(problem: Problem, sampler: str, trials: int) -> list[float]:
    """Seconds before each trial of a search of 512 jets in which nothing is scored."""
    problem = replace(problem, part=problem.part.first(FEW))
    known = Known(problem.costs, problem.objectives, problem.constraints)
    program = problem.subject.lowered
    with (
        stored(problem) as store,
        Evaluator(program, problem.part, batch_size=fitting_batch_size(program, FEW)) as evaluator,
    ):
        watched = Watched(evaluator)
        loop = Loop(
            problem.space,
            problem.costs,
            build_sampler(sampler, problem.space, seed=0, wanted=trials, known=known),
            watched,
            problem.objectives,
            problem.constraints,
            store,
            seed=0,
        )
        started = time.perf_counter()
        loop.run(Budget(trials), lambda *_: None)
        return [watched.times[0][0] - started, *watched.pauses]


def tpe(trials: int) -> float:
    """Milliseconds for a trial besides scoring."""
    return 1e3 * statistics.median(pauses(large(), "tpe", trials)[-WINDOW:])


def own_seconds(sampler: str, trials: int, repeats: int) -> float:
    return statistics.median([sum(pauses(jsc(), sampler, trials)) for _ in range(repeats)])


def whole_search(problem: Problem, sampler: str, trials: int) -> float:
    options = replace(problem.options, sampler=sampler, trials=trials)
    problem = replace(problem, part=problem.part.first(FEW), options=options)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        run = RunDirectory(Path(directory))
        with begin_run(problem, run, "") as store:
            search(problem, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
    return time.perf_counter() - started


def random_plans(count: int) -> list[Plan]:
    """Plans of jsc-toy's three layers, each format drawn from 2 to 8 bits."""
    draw = random.Random(0)
    layers = [layer for slot in large().space.slots for layer in slot.layers]

    def drawn() -> FixedPoint:
        width = draw.randint(2, 8)
        return FixedPoint(width, width // 2)

    return [Plan.of({layer: LayerPlan(drawn(), drawn(), drawn()) for layer in layers}) for _ in range(count)]


def evaluator(samples: int) -> Evaluator:
    problem = large()
    program = problem.subject.lowered
    return Evaluator(program, problem.part.first(samples), batch_size=fitting_batch_size(program, samples))


def single_plan_overhead(repeats: int) -> float:
    """Milliseconds of scoring a new plan less those of a forward, taken in turns."""
    ours, inputs = evaluator(FEW), large().part.first(FEW).inputs
    forward = Definition(ours.program)
    differences = []
    for plan in random_plans(40 * repeats):
        started = time.perf_counter()
        ours.evaluate([plan])
        between = time.perf_counter()
        forward.outputs(Plan(), inputs)
        ended = time.perf_counter()
        differences.append((between - started) - (ended - between))
    return 1e3 * statistics.median(differences[20:])


def random16(repeats: int) -> float:
    ours, plans = evaluator(MANY), random_plans(16 * (8 * repeats + 2))
    times = []
    for start in range(0, len(plans), 16):
        started = time.perf_counter()
        ours.evaluate(plans[start : start + 16])
        times.append((time.perf_counter() - started) / 16)
    return 1e3 * statistics.median(times[2:])


ROWS: dict[str, Callable[[int], float]] = {
    "one_plan_seconds": lambda repeats: processes(one_plan, repeats),
    "torch_import_seconds": lambda repeats: processes(
        lambda _: (sys.executable, "-c", "import torch"), repeats
    ),
    "help_seconds": lambda repeats: processes(lambda _: (*NARROWER, "--help"), repeats),
    "check_wrong_file_seconds": lambda repeats: processes(wrong_file, repeats),
    "tpe_ms_at_150": lambda repeats: statistics.median([tpe(150) for _ in range(repeats)]),
    "tpe_ms_at_5000": lambda _: tpe(5000),
    "nsgaii_4800_seconds": lambda _: whole_search(large(), "nsgaii", 4800),
    "nsgaiii_4800_seconds": lambda _: whole_search(large(), "nsgaiii", 4800),
    "tpe_150_seconds": lambda repeats: beside_plain(repeats).ours,
    "plain_150_seconds": lambda repeats: beside_plain(repeats).plain,
    "plain_first_seconds": lambda repeats: beside_plain(repeats).first,
    "times_plain": lambda repeats: beside_plain(repeats).times,
    "guided_300_seconds": lambda repeats: own_seconds("guided", 300, min(repeats, 3)),
    "gp_30_seconds": lambda _: own_seconds("gp", 30, 1),
    "single_plan_overhead_ms_512": single_plan_overhead,
    "random16_ms_8800": random16,
    "train_vs_plain_loop": train_vs_plain_loop,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to median")
    parser.add_argument(
        "--row", action="append", choices=ROWS, help="only this row; may be given several times"
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in arguments.row or ROWS:
        found[name] = round(ROWS[name](arguments.repeats), 4)
        print(f"{name}: {found[name]:.4g}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
