"""Ray: the same trials as one process, whatever happens to its workers."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from narrower.data.datasets import DataSet
from narrower.evaluate.backends import ray_worker
from narrower.evaluate.backends.backend import build_backend
from narrower.evaluate.backends.settings import BackendSettings
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.settings import RetrainedSettings
from narrower.searching.samplers.catalogue import ENDING, SAMPLERS
from narrower.settings.strategy_table import BackendTable
from narrower.store.trials import TrialStore
from narrower.study.api import search
from narrower.tasks.quality import Quality
from narrower.training.recipe import Recipe

ray = pytest.importorskip("ray")

PLANS = [
    Plan.of({"a": LayerPlan(weight=FixedPoint(width, frac))}) for width in range(2, 10) for frac in range(5)
]
SPACE = {
    "seq_blocks.2": {"data": [4, 8], "weight": [2, 4, 8], "bias": [8], "weight_frac": ["auto"]},
    "seq_blocks.5": {"data": [4, 8], "weight": [2, 4, 8], "bias": [8]},
}

LARGER = {
    layer: {"data": [4, 8], "weight": [2, 3, 4, 5, 6, 7, 8], "bias": [2, 4, 8]}
    for layer in ("seq_blocks.2", "seq_blocks.5")
}


class Toy:
    """Says the width of a plan; takes a while."""

    layers = ("a",)
    seconds = 0.02

    def warm_up(self) -> None:
        pass

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        time.sleep(self.seconds * len(plans))
        return [Quality(plan.layer("a").weight.bits, 10, None) for plan in plans]


class Poisoned(Toy):
    """One plan ends the process that scores it."""

    def __init__(self) -> None:
        self.parent = os.getpid()

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        if PLANS[-1] in plans and os.getpid() != self.parent:
            os._exit(1)
        return super().score(plans, loss)


class OtherBits(Toy):
    """Elsewhere, results are others."""

    def __init__(self) -> None:
        self.parent = os.getpid()

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        return [Quality(1 if os.getpid() == self.parent else 2, 10, None) for _ in plans]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, and two nodes of one."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def scored(engine: Toy, said: list[str], **settings: Any) -> list[Quality]:
    backend = build_backend(BackendSettings("ray", **settings), said.append)
    backend.start(engine)
    try:
        return backend.score(PLANS, False)
    finally:
        backend.close()


def test_a_node_that_goes_takes_no_plan_with_it(cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1)
    backend = build_backend(BackendSettings("ray"), print)
    engine = Toy()
    backend.start(engine)
    expected = [Quality(plan.layer("a").weight.bits, 10, None) for plan in PLANS]
    assert backend.score(PLANS, False) == expected  # all workers are there now
    going = threading.Timer(0.15, cluster.remove_node, (node,), {"allow_graceful": False})
    going.start()
    assert [backend.score(PLANS, False) for _ in range(3)] == [expected] * 3
    going.join()
    backend.close()


def test_a_plan_that_ends_its_workers_fails_and_no_other_does(cluster: Any) -> None:
    found = scored(Poisoned(), [])
    assert found[:-1] == [Quality(plan.layer("a").weight.bits, 10, None) for plan in PLANS[:-1]]
    assert found[-1].failure == "3 workers were lost over it (ActorDiedError)"


def test_a_worker_that_computes_otherwise_is_named_and_not_used(cluster: Any) -> None:
    said: list[str] = []
    assert scored(OtherBits(), said) == [Quality(1, 10, None)] * len(PLANS)
    assert "is not used: its results differ" in said[0]
    assert Quality(2, 10, None) in scored(OtherBits(), [], accept_other_bits=True)


def test_other_versions_are_said(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import narrower.evaluate.backends.ray_cluster as place

    monkeypatch.setattr(place, "versions", lambda: ray_worker.versions() | {"torch": "1.0"})
    said: list[str] = []
    scored(Toy(), said)
    assert "torch" in said[0]
    assert "(here 1.0)" in said[0]


def trials_of(
    model: nn.Module,
    data: DataSet,
    sampler: str,
    backend: BackendSettings,
    directory: str,
    space: dict[str, dict[str, list[Any]]] = SPACE,
    trials: int = 30,
    samples: int = 500,
) -> list[Any]:
    """What a search stored: number, plan, metrics, state."""
    objectives = ["accuracy", "bitops"] if sampler == "sensitivity" else ["accuracy", "loss", "bitops"]
    result = search(
        model, data, space, objectives, sampler=sampler, samples=samples,
        n_trials=None if sampler in ENDING else trials, backend=backend, directory=directory,
    )  # fmt: skip
    assert len(result.front) > 1
    with TrialStore.open(Path(directory, "trials.db")) as store:
        return [(trial.number, trial.plan_index, trial.metrics, trial.state) for trial in store.trials()]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsgaii"])
def test_trials_are_those_of_one_process(
    cluster: Any, sampler: str, jsc_toy: nn.Module, jets: DataSet
) -> None:
    there = trials_of(jsc_toy, jets, sampler, BackendSettings("ray"), "there")
    assert there == trials_of(jsc_toy, jets, sampler, BackendSettings(), "here")


def test_plans_are_dropped_early_as_in_one_process(
    cluster: Any, trained: Path, jets: DataSet, tmp_path: Path
) -> None:
    model, kept = load_weights(build_model("jsc-toy"), trained), []
    for name in ("ray", "this_process"):
        directory = tmp_path / name / "run"
        search(
            model, jets, SPACE, ["accuracy", "bitops"], sampler="brute_force", samples=8800,
            drop_dominated=True, batch=18, backend=BackendSettings(name), directory=directory,
        )  # fmt: skip
        with TrialStore.open(directory / "trials.db") as store:
            kept.append([(t.number, t.plan_index, t.metrics, t.state, t.reason) for t in store.trials()])
    assert kept[0] == kept[1]
    assert {state for _, _, _, state, _ in kept[0]} == {"complete", "dominated"}


def test_trained_candidates_are_those_of_one_process_though_a_node_goes(
    cluster: Any, jsc_toy: nn.Module, jets: DataSet, tmp_path: Path
) -> None:
    few = replace(jets, train=jets.train.first(512), validation=jets.validation.first(200))
    kept = []
    for name in ("ray", "this_process"):
        directory = tmp_path / name / "run"
        if name == "ray":
            node = cluster.add_node(num_cpus=1)
            going = threading.Timer(4.0, cluster.remove_node, (node,), {"allow_graceful": False})
            going.start()
        search(
            jsc_toy, few, SPACE, ["accuracy", "bitops"], sampler="random", n_trials=36,
            candidates=RetrainedSettings(Recipe(max_epochs=1)), backend=BackendSettings(name),
            directory=directory,
        )  # fmt: skip
        with TrialStore.open(directory / "trials.db") as store:
            kept.append([(t.number, t.plan_index, t.metrics, t.state) for t in store.trials()])
    going.join()
    assert kept[0] == kept[1]
    assert len(kept[0]) == 36


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [2, 4, 8])
def test_every_sampler_has_the_trials_of_one_process_on_many_nodes(
    cluster: Any, nodes: int, jsc_toy: nn.Module, jets: DataSet
) -> None:
    more = [cluster.add_node(num_cpus=1) for _ in range(nodes - 2)]
    for sampler in SAMPLERS:
        kept = [
            trials_of(jsc_toy, jets, sampler, backend, f"{sampler}-{place}")
            for place, backend in (("there", BackendSettings("ray")), ("here", BackendSettings()))
        ]
        assert kept[0] == kept[1], sampler
    for node in more:
        cluster.remove_node(node)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_nodes_that_go_at_any_moment_change_no_trial(
    cluster: Any, seed: int, jsc_toy: nn.Module, jets: DataSet
) -> None:
    chance = random.Random(seed)
    sampler = chance.choice(["random", "tpe", "nsgaii", "brute_force"])
    node = cluster.add_node(num_cpus=1)
    going = threading.Timer(chance.uniform(0.5, 9.0), cluster.remove_node, (node,), {"allow_graceful": False})
    going.start()
    wanted: dict[str, Any] = {"space": LARGER, "trials": 800, "samples": 8800}
    there = trials_of(jsc_toy, jets, sampler, BackendSettings("ray"), "there", **wanted)
    going.join()
    numbers = [number for number, *_ in there]
    assert numbers == list(range(len(numbers)))
    assert len({plan for _, plan, *_ in there}) == len(there)
    assert there == trials_of(jsc_toy, jets, sampler, BackendSettings(), "here", **wanted)


@pytest.mark.slow  # Ray waits half a minute
@pytest.mark.filterwarnings("ignore:Ray Client connection timed out")
def test_no_cluster_at_an_address_is_said() -> None:
    code = (
        "from narrower.evaluate.backends.settings import BackendSettings\n"
        "from narrower.evaluate.backends.ray_cluster import RayCluster\n"
        "RayCluster(BackendSettings('ray', address='ray://127.0.0.1:9'), print).start(None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SettingsError: the backend 'ray' found no cluster at address 'ray://127.0.0.1:9'" in done.stderr


def test_ray_keys_without_ray_are_refused() -> None:
    with pytest.raises(ValueError, match="address means something with name = 'ray' only"):
        BackendTable.model_validate({"address": "auto"})
