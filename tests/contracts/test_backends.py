"""What every place where plans are scored keeps to, and a toy one that needs no other file."""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from narrower.data.datasets import DataSet
from narrower.evaluate.backends import backend as backends
from narrower.evaluate.backends.backend import BACKENDS, Backend, Engine, Say, build_backend
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality, failed

PLANS = [
    Plan.of({"seq_blocks.2": LayerPlan(weight=FixedPoint(width, 1)), "seq_blocks.5": LayerPlan(data=data)})
    for width in range(2, 9)
    for data in (FixedPoint(4, 2), FixedPoint(6, 3), FixedPoint(8, 4))
]

PROBE = 4  # plans of which it is fair that a worker scores them before it is given any


class Counting:
    """An engine whose answers are plain to see; a plan with 5 bits goes wrong."""

    layers = ("seq_blocks.2", "seq_blocks.5")

    def warm_up(self) -> None:
        pass

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        return [self.quality(plan, loss) for plan in plans]

    def on(self, device: str, halvings: int) -> "Counting":
        assert (device, halvings) == ("cpu", 0)
        return self

    def quality(self, plan: Plan, loss: bool) -> Quality:
        bits = plan.layer("seq_blocks.2").weight.bits
        if bits == 5:
            return failed("five", 10)
        metrics = {"m:f": 1.5, "hit": bits / 10} | ({"loss": bits / 4} if loss else {})
        return Quality(10, metrics, {"hit": (float(bits),)})


class Fragile(Counting):
    """Ends the first processes, but this one, in which it is to score the list of plans."""

    def __init__(self, folder: Path) -> None:
        self.parent, self.folder = os.getpid(), folder

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        ended = len(list(self.folder.iterdir()))
        if os.getpid() != self.parent and len(plans) > PROBE and ended < 2:
            (self.folder / str(os.getpid())).touch()
            os._exit(1)
        return super().score(plans, loss)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One Ray cluster for all tests here."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "ray":
        pytest.importorskip("ray")
        request.getfixturevalue("cluster")
    built = build_backend(BackendSettings(request.param, jobs=3, max_workers=2), print)
    yield built
    built.close()


@pytest.mark.parametrize("loss", [False, True])
def test_answers_are_those_of_the_engine_in_the_order_of_the_plans(backend: Backend, loss: bool) -> None:
    assert isinstance(backend, Backend)
    engine = Counting()
    backend.start(engine)
    for plans in (PLANS, PLANS[::-1], PLANS[:1], []):
        assert backend.score(plans, loss) == [engine.quality(plan, loss) for plan in plans]


def test_it_can_be_started_again(backend: Backend) -> None:
    for _ in range(2):
        backend.start(Counting())
        assert backend.score(PLANS[:2], False) == Counting().score(PLANS[:2], False)
        backend.close()
    backend.close()


def test_lost_workers_lose_no_plan(backend: Backend, tmp_path: Path) -> None:
    engine = Fragile(tmp_path)
    backend.start(engine)
    for _ in range(2):
        assert backend.score(PLANS, True) == [engine.quality(plan, True) for plan in PLANS]
    assert backend.lost == len(list(tmp_path.iterdir()))


def test_qualities_of_a_network_do_not_depend_on_the_place(
    backend: Backend, jsc_toy_lowered: Program, jets: DataSet
) -> None:
    part = jets.validation.first(500)
    with Evaluator(jsc_toy_lowered, part, backend=backend) as somewhere:
        found = somewhere.evaluate(PLANS, loss=True)
    assert found == Evaluator(jsc_toy_lowered, part).evaluate(PLANS, loss=True)


class OneThread:
    """A toy: plans are scored by another thread."""

    lost = 0

    def __init__(self, _settings: BackendSettings, _say: Say) -> None:
        self.used = 0

    def start(self, engine: Engine) -> None:
        self._engine = engine

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        found: list[Quality] = []
        thread = threading.Thread(target=lambda: found.extend(self._engine.score(plans, loss)))
        thread.start()
        thread.join()
        self.used += 1
        return found

    def close(self) -> None:
        pass


def test_a_new_backend_is_one_class_and_one_line(
    monkeypatch: pytest.MonkeyPatch, jsc_toy_lowered: Program, jets: DataSet
) -> None:
    monkeypatch.setitem(BACKENDS, "one_thread", "this test:OneThread")
    monkeypatch.setattr(backends, "import_module", lambda _name: type("This", (), {"OneThread": OneThread}))
    built = build_backend(BackendSettings("one_thread"), print)
    assert isinstance(built, OneThread)
    part = jets.validation.first(500)
    with Evaluator(jsc_toy_lowered, part, backend=built) as evaluator:
        assert evaluator.evaluate(PLANS) == Evaluator(jsc_toy_lowered, part).evaluate(PLANS)
    assert built.used == 1
