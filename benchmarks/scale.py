"""Many workers, many trials, many objectives.

    python benchmarks/scale.py [--json] [--row NAME ...]

- ``ray_overhead``: speed of two Ray workers over that of two processes, plans of jsc-toy in lists of 1,024
- ``simulated_efficiency_64``: 64 Ray workers on this machine; plans sleep instead of being scored, so that it
  says how busy the workers are kept: the sleep of all plans over 64 times the seconds that they took
- ``million_trials_growth``: seconds of this process for the last 100,000 of a million random trials over
  those for the first
- ``driver_memory_growth``: memory of the process after these over that after the first 100,000
- ``front_seconds``: the front of 100,000 points in four objectives, where a quarter are on it

Medians of interleaved runs; the first row needs Ray, the second memory for 64 processes (about 6 GB).
"""

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from narrower.evaluate.backends.backend import Backend, build_backend
from narrower.evaluate.backends.settings import BackendSettings
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.searching.front import Front
from narrower.tasks.quality import Quality

LAYERS = ("seq_blocks.2", "seq_blocks.5", "seq_blocks.8")
LIST = 1024
REPEATS = 3
SIMULATED, SLEEP = 64, 0.02
MILLION, TENTH = 1_000_000, 100_000


def plans(count: int, seed: int) -> list[Plan]:
    """Different plans of jsc-toy at random."""
    chance, found = random.Random(seed), dict[Plan, None]()
    while len(found) < count:
        layers = {}
        for layer in LAYERS:
            data, weight, bias = (chance.randint(2, 8) for _ in range(3))
            layers[layer] = LayerPlan(
                data=FixedPoint(data, data // 2),
                weight=FixedPoint(weight, weight - 1),
                bias=FixedPoint(bias, 4),
            )
        found[Plan.of(layers)] = None
    return list(found)


def ray_overhead() -> float:
    """Speed of Ray over that of processes, two workers each."""
    from narrower.data.datasets import load_data_set
    from narrower.evaluate.program_engine import ProgramEngine
    from narrower.graph.lower import lower
    from narrower.graph.trace import trace
    from narrower.models.build import build_model

    jets = load_data_set("jets")
    program = lower(trace(build_model("jsc-toy").eval(), jets.train.inputs[:3], "jsc-toy"))
    engine = ProgramEngine(program, jets.validation, 4096, {}, 2**28)
    # The driver of Ray only hands out; the first process of the other kind scores a share itself.
    kinds = [BackendSettings("processes", jobs=2), BackendSettings("ray", max_workers=2)]
    backends = [build_backend(settings, print) for settings in kinds]
    for backend in backends:
        backend.start(engine)
    seconds: list[list[float]] = [[], []]
    for repeat in range(REPEATS + 1):
        some = plans(LIST, repeat)
        for backend, taken in zip(backends, seconds, strict=True):
            taken.append(timed(lambda backend=backend, some=some: backend.score(some, False)))
    for backend in backends:
        backend.close()
    return statistics.median(a / b for a, b in list(zip(*seconds, strict=True))[1:])


class Sleeping:
    """Takes its time, and finds nothing."""

    layers = LAYERS

    def warm_up(self) -> None:
        """There is nothing to make."""

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:  # noqa: ARG002
        """As many seconds as these plans are to take."""
        time.sleep(SLEEP * len(plans))
        return [Quality(0, 1, None) for _ in plans]


def simulated_efficiency() -> float:
    """The share of the time in which 64 workers are busy."""
    import ray

    ray.init(num_cpus=SIMULATED, include_dashboard=False, log_to_driver=False)
    backend: Backend = build_backend(BackendSettings("ray"), print)
    backend.start(Sleeping())
    some = plans(SIMULATED * 250, 0)  # five seconds of each worker
    wait_for_workers(backend, some)
    found = [SLEEP * len(some) / SIMULATED / timed(lambda: backend.score(some, False)) for _ in range(3)]
    backend.close()
    ray.shutdown()
    return statistics.median(found)


def wait_for_workers(backend: Backend, some: Sequence[Plan]) -> None:
    """Score lists until all workers have started and it is known how long a plan takes."""
    before = float("inf")
    while (taken := timed(lambda: backend.score(some, False))) < 0.95 * before:
        before = taken


def million_trials() -> tuple[float, float]:
    """Growth of seconds and of memory over a whole search: random plans, 64 jets, front included."""
    from narrower.settings.from_options import settings_from_options
    from narrower.store.run_directory import RunDirectory
    from narrower.study.pose import pose
    from narrower.study.run_facts import begin_run
    from narrower.study.study import search

    widths = [str(width) for width in range(2, 17)]
    settings = settings_from_options(
        layers=".*",
        widths={"data_in": widths, "weight": widths, "bias": ["4", "8"]},
        fractions="NA",
        objectives=["accuracy", "bitops"],
        bounds=[],
        setup={"sampler": "random", "n_trials": MILLION},
        samples=64,
        top={"model": "jsc-toy", "dataset": "jets"},
    )
    problem = pose(settings)
    marks: list[tuple[float, int]] = []

    @contextmanager
    def show_progress(_wanted: int) -> Iterator[Callable[[int, int], None]]:
        def progress(done: int, _front: int) -> None:
            if done >= (len(marks) + 1) * TENTH:
                marks.append((time.process_time(), memory()))

        yield progress

    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "runs" / "million")  # no other run lies beside it
        with begin_run(problem, run, "") as store:
            started = time.process_time()
            search(problem, run, store, show_progress=show_progress)
    return (marks[-1][0] - marks[-2][0]) / (marks[0][0] - started), marks[-1][1] / marks[0][1]


def front_seconds() -> float:
    """Points on and behind a sphere's corner."""
    chance = np.random.default_rng(0)
    points = np.abs(chance.normal(size=(TENTH, 4)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = 1 - points * chance.choice([1.0, 0.9, 0.8, 0.7], size=(TENTH, 1))

    def whole() -> None:
        front = Front(4)
        for start in range(0, TENTH, 1024):
            some = points[start : start + 1024]
            front.add(some, np.arange(start, start + len(some)))

    return statistics.median(timed(whole) for _ in range(3))


def memory() -> int:
    """Bytes at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Measure what is asked for."""
    rows = ("ray_overhead", "simulated_efficiency_64", "million_trials_growth", "front_seconds")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--row", action="append", choices=rows)
    given = parser.parse_args()
    found: dict[str, float] = {}
    for row in given.row or rows:
        if row == "million_trials_growth":
            found[row], found["driver_memory_growth"] = million_trials()
        else:
            measure = {"ray_overhead": ray_overhead, "front_seconds": front_seconds}.get(
                row, simulated_efficiency
            )
            found[row] = measure()
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
    else:
        for name, value in found.items():
            print(f"{name:28} {value:.3g}")


if __name__ == "__main__":
    main()
