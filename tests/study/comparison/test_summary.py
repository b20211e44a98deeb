"""From runs to summaries, tests and words, on a comparison that is small enough to check by hand."""

import statistics
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest

from narrower.searching.front import hypervolume
from narrower.study.comparison.conclusion import conclude, spell, spell_needed, spell_p, unbeaten
from narrower.study.comparison.measures import curves, measures, seconds_until
from narrower.study.comparison.progress import steps
from narrower.study.comparison.record import Comparison, Estimate, Needed
from narrower.study.comparison.summary import (
    FINAL,
    MEAN,
    estimate,
    final_hypervolume,
    mean_hypervolume,
    pair_tests,
    summaries,
)
from narrower.study.comparison.yardstick import Yardstick
from tests.study.comparison.made_up_comparison import CHECKPOINTS, PLAN_SECONDS, TRIALS, run


def test_the_mean_hypervolume_holds_each_value_until_the_next(comparison: Comparison) -> None:
    one = run("quick", 0, (1, 3), (0.6, 0.9))
    assert mean_hypervolume(comparison, one) == pytest.approx((2 * 0.6 + 8 * 0.9) / 10)
    late = run("quick", 0, (4,), (0.5,))  # nothing before trial 4
    assert mean_hypervolume(comparison, late) == pytest.approx(7 * 0.5 / 10)
    none = run("quick", 0, (), ())
    assert mean_hypervolume(comparison, none) == 0.0
    assert final_hypervolume(comparison, none) == 0.0
    assert final_hypervolume(comparison, one) == 0.9


def test_a_summary_takes_medians_over_seeds(comparison: Comparison) -> None:
    quick, slow = comparison.summaries
    last = [0.96 + seed / 1000 for seed in range(8)]
    assert quick.hypervolume.median == pytest.approx(statistics.median(last))
    assert (
        min(last) <= quick.hypervolume.low <= quick.hypervolume.median <= quick.hypervolume.high <= max(last)
    )  # type: ignore[operator]
    assert quick.found.median == pytest.approx(statistics.median(last) / 2)
    assert quick.distance.median == pytest.approx(1 - statistics.median(last))
    assert quick.best["accuracy"].median == pytest.approx(0.5 + statistics.median(last) / 4)
    means = [(2 * 0.6 + 8 * share) / 10 for share in last]
    assert quick.mean_hypervolume.median == pytest.approx(statistics.median(means))
    assert (slow.drawn, slow.failed) == (8, 16)
    assert quick.repeated.median == 3
    assert quick.sampler_seconds.median == pytest.approx(0.08)
    assert quick.seconds.median == pytest.approx(0.08 + TRIALS * PLAN_SECONDS)


def test_what_it_took_to_reach_a_share(comparison: Comparison) -> None:
    quick, slow = comparison.summaries
    first, second = quick.needed
    assert (first.share, first.reached) == (0.95, 8)
    assert first.trials == Estimate(3.0, 3.0, 3.0)
    assert first.seconds.median == pytest.approx(0.5 * 3 + 0.1)
    assert (second.share, second.reached) == (0.99, 0)
    assert second.trials == Estimate(None, None, None)
    assert slow.needed[0].reached == 0
    assert spell_needed(second, 8) == "not reached"
    assert spell_needed(replace(first, reached=5), 8) == "3 (3–3), reached by 5 of 8 seeds"


def test_a_share_is_reached_by_what_equals_it_but_for_rounding(comparison: Comparison) -> None:
    runs = tuple(
        run(sampler, seed, (seed + 1,), (value,))
        for seed in range(4)
        for sampler, value in (("quick", 0.95 - 1e-12), ("slow", 0.95 - 1e-6))
    )
    near, below = summaries(replace(comparison, runs=runs))
    assert (near.needed[0].reached, below.needed[0].reached) == (4, 0)
    assert near.needed[0].trials.median == 2.5


def test_a_difference_at_the_level_itself_is_not_seen(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    for p, better in ((0.025, None), (0.0249, "slow")):  # of two tests, so that Holm doubles them
        monkeypatch.setattr("narrower.study.comparison.summary.signed_rank", lambda *_, p=p: (p, -1))
        assert {(test.corrected, test.better) for test in pair_tests(comparison)} == {(2 * p, better)}


def test_only_the_distance_is_drawn_on_a_logarithmic_axis(comparison: Comparison) -> None:
    found = measures(comparison.setup)
    assert {measure.name for measure in found if measure.is_logarithmic} == {"distance"}
    assert {measure.name for measure in found if measure.is_share} == {"hypervolume", "found"}


def test_tests_name_the_better_sampler(comparison: Comparison) -> None:
    by_measure = {test.measure: test for test in comparison.tests}
    assert set(by_measure) == {MEAN, FINAL}
    for test in comparison.tests:
        # all eight signs agree: 2 of 256 outcomes are as extreme; two tests, corrected by Holm
        assert test.p == pytest.approx(2 / 256)
        assert test.corrected == pytest.approx(2 * 2 / 256)
        assert test.better == "quick"
    assert unbeaten(comparison, MEAN) == ("quick",)
    assert "quick is the most sample-efficient: it beats slow" in comparison.conclusion.headline


def test_too_few_seeds_show_nothing_and_that_is_said(comparison: Comparison) -> None:
    few = replace(
        comparison,
        setup=replace(comparison.setup, seeds=(0, 1, 2)),
        runs=tuple(run for run in comparison.runs if run.seed < 3),
    )
    few = replace(few, summaries=summaries(few), tests=pair_tests(few))
    assert {test.better for test in few.tests} == {None}
    conclusion = conclude(few)
    assert "No difference seen between quick and slow: 3 seeds are too few" in conclusion.headline
    # two tests: 2 * 2 ** (1 - 7) = 0.03 is the first below 0.05
    assert any("give at least 7 seeds" in sentence for sentence in conclusion.sentences)


def test_swapped_samplers_swap_the_conclusion(comparison: Comparison) -> None:
    names = {"quick": "slow", "slow": "quick"}
    other = replace(comparison, runs=tuple(replace(r, sampler=names[r.sampler]) for r in comparison.runs))
    other = replace(other, summaries=summaries(other), tests=pair_tests(other))
    assert {test.better for test in other.tests} == {"slow"}
    sentences = conclude(other).sentences
    assert sentences[1].startswith("Mean hypervolume over 10 trials: slow ")  # the best comes first
    needed = "Trials needed for 95 % of the hypervolume: slow 3 (3–3); quick not reached."
    assert needed in sentences


def test_infinite_values_are_not_reached() -> None:
    assert estimate([1.0, 2.0, inf]).median == 2.0
    assert estimate([1.0, inf, inf]).median is None
    assert spell(Estimate(None, 1.0, None)) == "not reached"
    assert spell(Estimate(35.2, 31.0, None)) == "35 (31–not reached)"
    assert spell(Estimate(0.355, 0.3, 0.4), ".1f", 100, " %") == "35.5 % (30.0–40.0)"
    assert (spell_p(0.0001), spell_p(0.0234)) == ("p < 0.001", "p = 0.023")
    assert (
        spell_needed(Needed(0.95, 0, Estimate(None, None, None), Estimate(None, None, None)), 3)
        == "not reached"
    )


def test_values_are_held_between_steps_over_trials_and_over_time(comparison: Comparison) -> None:
    one = run("quick", 0, (2, 8), (0.3, 0.7))
    volume = next(m for m in measures(comparison.setup) if m.name == "hypervolume")
    assert volume.over_trials(comparison, one, (1, 2, 7, 8, 10)).tolist() == [0.0, 0.3, 0.3, 0.7, 0.7]
    assert volume.over_seconds(comparison, one, np.array([1.0, 1.1, 4.0, 4.1])).tolist() == [
        0.0,
        0.3,
        0.3,
        0.7,
    ]
    distance = next(m for m in measures(comparison.setup) if m.name == "distance")
    assert distance.over_trials(comparison, one, (1, 2)).tolist() == [inf, 0.7]
    best = next(m for m in measures(comparison.setup) if m.name == "accuracy")
    assert best.over_trials(comparison, one, (1, 2)).tolist() == [-inf, 0.5 + 0.3 / 4]


def test_time_holds_the_samplers_own_and_that_of_each_trial(comparison: Comparison) -> None:
    ended = run("quick", 0, (1,), (0.5,), trials=4)  # it ran out of plans after four
    seconds = seconds_until(comparison, ended).tolist()
    assert seconds == pytest.approx([0.01 + 1 * 0.5, 0.03 + 4 * 0.5, 0.08 + 4 * 0.5])


def test_curves_are_medians_with_gaps_where_nothing_is_known(comparison: Comparison) -> None:
    volume = next(m for m in measures(comparison.setup) if m.name == "hypervolume")
    quick, slow = curves(comparison, volume, over_time=False)
    assert (quick.sampler, slow.sampler) == ("quick", "slow")
    assert quick.x.tolist() == list(CHECKPOINTS)
    assert quick.median.tolist() == pytest.approx([0.6, 0.9635, 0.9635])
    distance = next(m for m in measures(comparison.setup) if m.name == "distance")
    assert np.isnan(curves(comparison, distance, over_time=False)[1].median[0])
    timed = curves(comparison, volume, over_time=True)[0]
    assert timed.x[0] == pytest.approx(0.51)
    assert timed.x[-1] == pytest.approx(5.08)
    assert timed.median[-1] == pytest.approx(0.9635)


def test_steps_are_the_trials_that_change_the_front() -> None:
    best = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    reference = np.array([3.0, 3.0])
    measure = Yardstick(reference, best, best.min(axis=0), hypervolume(best, reference))
    losses = [None, (2.0, 2.0), (2.0, 2.0), (2.5, 2.5), (1.0, 1.0), None, (0.0, 2.0)]
    seconds = [float(number) for number in range(7)]
    found = steps(losses, seconds, measure, ("accuracy", "bitops"), (-1, 1))
    assert found.trials == (2, 5, 7)
    assert found.seconds == (1.0, 4.0, 6.0)
    # boxes up to (3, 3): 1; 4; 4 and one more column of 1 x 1; of all: 1 x 1, 2 x 2 and their steps, 6
    assert found.hypervolume == pytest.approx((1 / 6, 4 / 6, 5 / 6))
    assert found.found == pytest.approx((0.0, 1 / 3, 2 / 3))
    assert found.best == {"accuracy": (-2.0, -1.0, -0.0), "bitops": (2.0, 1.0, 1.0)}
    assert steps([None], [0.0], measure, ("accuracy", "bitops"), (-1, 1)).trials == ()


def test_the_last_of_several_steps_is_the_end(comparison: Comparison) -> None:
    assert final_hypervolume(comparison, run("quick", 0, (1, 3, 7), (0.2, 0.5, 0.6))) == 0.6


def test_the_conclusion_says_what_the_numbers_say(comparison: Comparison) -> None:
    sentences = comparison.conclusion.sentences
    # means by hand: quick 0.2 * 0.6 + 0.8 * (0.96 + seed / 1000), slow 0.6 * 0.3 + 0.3 * (0.5 + seed / 50)
    quick = 0.2 * 0.6 + 0.8 * 0.9635
    slow = 0.6 * 0.3 + 0.3 * 0.57
    assert sentences[1].startswith(f"Mean hypervolume over 10 trials: quick {100 * quick:.1f} % (")
    assert f"; slow {100 * slow:.1f} % (" in sentences[1]
    assert "Trials needed for 95 % of the hypervolume: quick 3 (3–3); slow not reached." in sentences
    assert "Trials needed for 99 % of the hypervolume: quick not reached; slow not reached." in sentences
    assert "quick is better than slow (p = 0.016) on average over 10 trials." in sentences
    assert "quick is better than slow (p = 0.016) after 10 trials." in sentences
    assert not any("No difference seen" in sentence for sentence in sentences)
    assert not any("seeds hardly any" in sentence for sentence in sentences)
    # 0.08 s for 10 trials, and 0.5 s to score one
    own = "The sampler's own time for a trial: quick 8 ms; slow 8 ms; to score a plan alone takes 500 ms."
    assert own in sentences
    repeats = "Proposals in a run that repeated earlier ones (a repeat is no trial): quick 3 (3–3)"
    assert any(sentence.startswith(repeats) for sentence in sentences)
    assert "(8 trials of all runs were drawn at random" in sentences[-1]


def test_without_a_difference_or_a_rival_the_headline_says_so(comparison: Comparison) -> None:
    same = tuple(replace(r, sampler=s) for s in ("quick", "slow") for r in comparison.runs_of("quick"))
    equal = replace(comparison, runs=same)
    equal = replace(equal, summaries=summaries(equal), tests=pair_tests(equal))
    conclusion = conclude(equal)
    assert conclusion.headline == "No difference seen between quick and slow"
    assert "No difference seen after 10 trials between quick and slow (p = 1)." in conclusion.sentences
    assert unbeaten(equal, MEAN) == ("quick", "slow")
    alone = replace(
        comparison,
        setup=replace(comparison.setup, samplers=("quick",)),
        runs=comparison.runs_of("quick"),
    )
    alone = replace(alone, summaries=summaries(alone), tests=pair_tests(alone))
    assert conclude(alone).headline == "quick alone: nothing to compare it with"


def test_three_samplers_of_which_one_is_worse(comparison: Comparison) -> None:
    third = tuple(replace(r, sampler="third") for r in comparison.runs_of("quick"))
    three = replace(
        comparison,
        setup=replace(comparison.setup, samplers=("quick", "slow", "third")),
        runs=(*comparison.runs, *third),
    )
    three = replace(three, summaries=summaries(three), tests=pair_tests(three))
    assert unbeaten(three, MEAN) == ("quick", "third")
    expected = "No sampler is seen to be better than quick and third; between these no difference seen"
    assert conclude(three).headline == expected


def test_who_is_beaten_is_asked_of_one_measure(comparison: Comparison) -> None:
    tests = tuple(
        replace(test, better="quick" if test.measure == MEAN else "slow") for test in comparison.tests
    )
    other = replace(comparison, tests=tests)
    assert unbeaten(other, MEAN) == ("quick",)
    assert unbeaten(other, FINAL) == ("slow",)


@pytest.mark.parametrize(("direction", "worst"), [("maximize", -inf), ("minimize", inf)])
def test_before_the_first_trial_a_sum_is_worse_than_any(
    direction: Any, worst: float, comparison: Comparison
) -> None:
    setup = replace(comparison.setup, sum_direction=direction)
    (total,) = [m for m in measures(setup) if m.name == "sum of scaled metrics"]
    assert total.before == worst
    assert {m.before for m in measures(setup) if m.name in ("repeated", "sampler_seconds", "found")} == {0.0}
    union = measures(replace(setup, basis="union"))
    assert any("the front of all runs together" in m.title for m in union)
    assert any("the exact front" in m.title for m in measures(setup))
