from dataclasses import replace
from pathlib import Path

import pytest

from narrower.report.advice import Advice
from narrower.report.findings import read_findings
from narrower.report.plan_text import count
from narrower.report.record import RunRecord
from tests.report.made_up_run import Widths, all_widths, bitops, without_weights, write_run


def advice(path: Path, **arguments: object) -> Advice:
    return read_findings(write_run(path / "run", **arguments)).advice  # type: ignore[arg-type]


def numbers(widths: Widths) -> tuple[tuple[int, int], ...]:
    return tuple(widths.values())


def test_the_cheapest_plan_within_one_point_of_float32_is_advised(tmp_path: Path) -> None:
    # float32 has 0.905: within one point are 0.90 (all 8 bits), and 0.897 made up for 4-bit weights below
    def accuracy(widths: Widths) -> float:
        return {((8, 8), (8, 8)): 0.9, ((8, 8), (8, 4)): 0.897}.get(numbers(widths), 0.6)

    found = advice(tmp_path, accuracy=accuracy)
    assert found.chosen is not None
    assert found.chosen.plan["head"]["weight"] == "fixed(4,frac=2)"
    assert found.headline.startswith(f"Take trial {found.chosen.number}: accuracy ")
    text = " ".join(found.sentences)
    assert "Of the 2 plans of the front that stay within 1 percentage point" in text
    assert "89.7 %" in text
    assert "90.5 %" in text
    cost = 100 * 64 + 200 * 32
    assert f"bitops {cost:,} instead of 307,200 ({307_200 / cost:.3g} times less)" in text


def test_without_a_plan_near_float32_the_most_accurate_is_advised_and_the_knee_named(tmp_path: Path) -> None:
    found = advice(tmp_path, change=lambda r: replace(r, float32={**r.float32, "accuracy": 0.99}))
    assert found.headline.startswith("Take trial 35: accuracy 90.0 %, bitops ")  # all wide: 0.90
    assert "No plan stays within 1 percentage point" in found.sentences[0]
    assert "loses 9.00 points" in found.sentences[0]
    assert found.knee is not None
    assert f"the knee of the front, trial {found.knee.number}:" in found.sentences[1]


@pytest.mark.parametrize(
    ("number", "text"), [(36, "36"), (999_999_999, "999,999,999"), (6 * 10**14 + 1, "about 6 × 10^14")]
)
def test_huge_numbers_of_plans_are_given_by_their_magnitude(number: int, text: str) -> None:
    assert count(number) == text


def test_the_knee_gives_away_least_of_the_scaled_objectives(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run"))
    members = findings.record.members
    accuracies, costs = ([m.metrics[name] for m in members] for name in ("accuracy", "bitops"))

    def given_away(position: int) -> float:
        return (max(accuracies) - accuracies[position]) / (max(accuracies) - min(accuracies)) + (
            costs[position] - min(costs)
        ) / (max(costs) - min(costs))

    assert findings.advice.knee is members[min(range(len(members)), key=given_away)]


def test_a_loss_on_the_test_part_beyond_one_point_is_said(tmp_path: Path) -> None:
    def worse_on_test(record: RunRecord) -> RunRecord:
        members = tuple(replace(member, test_value=0.86) for member in record.members)
        return replace(record, members=members)

    text = advice(tmp_path, change=worse_on_test).sentences[0]
    assert "there it loses 4.00 points, more than 1 point" in text  # float32 has 0.90 there


def test_accuracy_on_the_test_part_that_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    text = advice(tmp_path, change=without_weights).sentences[0]
    assert "on the test part is not known" in text


def test_the_rival_with_the_same_widths_in_every_layer_is_named(tmp_path: Path) -> None:
    def accuracy(widths: Widths) -> float:
        return {((8, 8), (8, 8)): 0.899, ((8, 8), (8, 2)): 0.898}.get(numbers(widths), 0.5)

    text = " ".join(advice(tmp_path, accuracy=accuracy).sentences)
    everywhere_8 = bitops({"stem": (8, 8), "head": (8, 8)})
    assert f"the cheapest that is as good has 89.9 % at bitops {everywhere_8:,.0f} (data 8, weight 8)" in text


def test_of_a_cost_to_be_maximised_the_cheapest_rival_has_most(tmp_path: Path) -> None:
    def by_size(record: RunRecord) -> RunRecord:  # as if large models were wanted
        wanted = {"metric": "model_size", "direction": "maximize", "scale": 1.0}
        return replace(record, objectives=(record.objectives[0], wanted))

    text = " ".join(advice(tmp_path, accuracy=lambda _: 0.9, tried=[35, 0, 14], change=by_size).sentences)
    # the uniform plans have weights of 8, 2 and 8 bits: 2 layers of 100 weights
    assert "the cheapest that is as good has 90.0 % at model size 200 bytes" in text


def test_a_front_without_a_uniform_rival_says_how_far_the_best_gets(tmp_path: Path) -> None:
    def accuracy(widths: Widths) -> float:
        return {((8, 8), (8, 2)): 0.9, ((4, 4), (4, 4)): 0.7}.get(numbers(widths), 0.5)

    text = " ".join(advice(tmp_path, accuracy=accuracy).sentences)
    assert "the best of 6 has 70.0 % at bitops 4,800 (data 4, weight 4)" in text  # 100 x 16 + 200 x 16


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        (None, "Every plan that space and constraints allow was tried"),
        ([0, 35], "Only 2 of 36 plans were tried"),
    ],
)
def test_it_says_how_much_of_the_space_was_tried(tmp_path: Path, tried: list[int] | None, said: str) -> None:
    assert said in advice(tmp_path, tried=tried).sentences[-1]


def test_a_member_that_may_be_there_by_chance_is_called_so(tmp_path: Path) -> None:
    def unsure(record: RunRecord) -> RunRecord:
        return replace(record, members=tuple(replace(m, certain=False, equals=2) for m in record.members))

    text = advice(tmp_path, change=unsure).sentences[-1]
    assert "Chance alone may have put trial" in text
    assert "2 other plans have the same values" in text


def test_an_empty_front_has_no_plan_to_take(tmp_path: Path) -> None:
    found = advice(tmp_path, change=lambda record: replace(record, members=()))
    assert found.chosen is None
    assert found.headline == "No plan to take"


def test_a_search_for_accuracy_alone_takes_the_only_plan(tmp_path: Path) -> None:
    def alone(record: RunRecord) -> RunRecord:
        return replace(record, objectives=record.objectives[:1], members=record.members[-1:])

    found = advice(tmp_path, change=alone)
    assert "the only plan on the front" in found.sentences[0]


def test_a_sum_of_objectives_is_called_a_sum(tmp_path: Path) -> None:
    def added(record: RunRecord) -> RunRecord:
        return replace(record, sum_direction="maximize", members=record.members[:1])

    assert "best sum of the scaled objectives" in advice(tmp_path, change=added).sentences[0]


def test_every_plan_of_the_made_up_space_is_a_trial() -> None:
    assert len(all_widths(("stem", "head"))) == 36
