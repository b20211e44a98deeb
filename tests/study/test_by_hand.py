"""A study by hand finds what a search finds, whoever scores, and in whatever order it is told."""

from pathlib import Path
from typing import Any

import pytest
import torch

import narrower
from narrower.searching.samplers.catalogue import SAMPLERS

SPACE = {
    "seq_blocks.2": {"data": [4, 8], "weight": [2, 4, 8], "bias": [8]},
    "seq_blocks.5": {"weight": [2, 8], "data": [8], "bias": [8]},
}
OBJECTIVES = ["accuracy", "bitops"]


def study(**more: Any) -> narrower.Study:
    return narrower.Study("jsc-toy", "jets", SPACE, OBJECTIVES, samples=300, **more)


def searched(**more: Any) -> Any:
    return narrower.search("jsc-toy", "jets", SPACE, OBJECTIVES, samples=300, **more)


def test_scored_here_its_front_is_that_of_a_search() -> None:
    with study(sampler="brute_force") as by_hand:
        asked = by_hand.ask(100)
        assert len(asked) == 12
        for one, metrics in zip(asked, by_hand.score(asked), strict=True):
            by_hand.tell(one, metrics)
        assert by_hand.ask() == []
        found = by_hand.result()
    wanted = searched()
    assert [row["plan"] for row in found.front] == [row["plan"] for row in wanted.front]
    assert [row["accuracy"] for row in found.front] == [row["accuracy"] for row in wanted.front]
    assert [row["test_accuracy"] for row in found.front] == [row["test_accuracy"] for row in wanted.front]
    assert found.record.summary.exhausted


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "brute_force"])
def test_every_sampler_proposes_new_plans_also_when_answers_come_late_and_out_of_order(sampler: str) -> None:
    with study(sampler=sampler) as by_hand:
        first = by_hand.ask(4)
        late = first.pop(1)
        for one in reversed(first):
            by_hand.tell(one, {"accuracy": 0.2 + one.number / 100})
        second = by_hand.ask(3)
        by_hand.tell(late, {"accuracy": 0.9})
        for one in second:
            by_hand.fail(one, "the board did not answer")
        plans = [one.plan for one in [*first, late, *second]]
        assert len({*plans}) == len(plans)
        found = by_hand.result()
    assert found.best().metrics["accuracy"] == 0.9
    assert found.record.summary.failed == len(second)
    assert found.record.summary.first_failure == "the board did not answer"


def test_a_latency_that_the_caller_measured_is_an_objective() -> None:
    with narrower.Study("jsc-toy", "jets", SPACE, ["accuracy", "latency"], samples=200) as by_hand:
        assert by_hand.wanted == ("accuracy", "latency")
        (one, two) = by_hand.ask(2)
        with pytest.raises(narrower.NarrowerError, match="latency missing"):
            by_hand.tell(one, {"accuracy": 0.5})
        by_hand.tell(one, {"accuracy": 0.5, "latency": 20.0})
        by_hand.tell(two, {"accuracy": 0.4, "latency": 30.0})  # worse in both
        assert [row["latency"] for row in by_hand.result().front] == [20.0]


def test_what_is_told_wrongly_is_refused_and_can_be_told_again() -> None:
    with study() as by_hand:
        (one,) = by_hand.ask()
        for wrong, said in (
            ({"accuracy": float("nan")}, "found nan"),
            ({"accuracy": 0.5, "power": 3.0}, "'power': allowed are accuracy"),
            ({"accuracy": 0.5, "bitops": 3.0}, "'bitops': allowed are accuracy"),
        ):
            with pytest.raises(narrower.NarrowerError, match=said):
                by_hand.tell(one, wrong)
        with pytest.raises(narrower.NarrowerError, match="no plan that reached something"):
            by_hand.result()
        assert by_hand.tell(one, {"accuracy": 0.5}) == 0
        with pytest.raises(narrower.NarrowerError, match="was told already"):
            by_hand.tell(one, {"accuracy": 0.5})


def test_bounds_of_costs_hold_for_what_is_asked() -> None:
    bound = sorted(row["bitops"] for row in searched().front)[0] * 1.2
    with study(constraints={"bitops": (None, bound)}, sampler="random") as by_hand:
        asked = by_hand.ask(50)
        assert asked
        assert all(one.costs["bitops"] <= bound for one in asked)


def test_the_model_of_a_plan_has_the_quality_that_it_is_scored_with() -> None:
    with study() as by_hand:
        (one,) = by_hand.ask()
        (scored,) = by_hand.score([one])
        part = narrower.load_data_set("jets").validation.first(300)
        with torch.no_grad():
            right = (by_hand.model(one)(part.inputs).argmax(1) == part.targets).float().mean().item()
    assert right == pytest.approx(scored["accuracy"], abs=1e-6)


def test_a_directory_keeps_the_trials_and_is_not_searched_twice(tmp_path: Path) -> None:
    with study(directory=tmp_path / "run") as by_hand:
        (one,) = by_hand.ask()
        by_hand.tell(one, {"accuracy": 0.5})
        found = by_hand.result()
    assert list(found.run.path.iterdir())
    with pytest.raises(narrower.NarrowerError, match="holds a search already"):
        study(directory=tmp_path / "run")
