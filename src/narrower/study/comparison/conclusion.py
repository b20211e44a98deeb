"""What a comparison's numbers say, in words."""

from collections.abc import Sequence

from narrower.study.comparison.record import Comparison, Conclusion, Estimate, Needed, PairTest, Summary
from narrower.study.comparison.statistics import smallest_p
from narrower.study.comparison.summary import FINAL, MEAN, SHARES, SIGNIFICANT

CLEARLY = 0.001  # smaller p are not spelled out


def conclude(comparison: Comparison) -> Conclusion:
    """The conclusion from the summaries and tests of a comparison."""
    return Conclusion(
        _headline(comparison),
        tuple(
            sentence
            for sentence in (
                _basis(comparison),
                _mean(comparison),
                *(_needed(comparison, position) for position in range(len(SHARES))),
                *_seen(comparison, MEAN, f"on average over {comparison.setup.trials:,} trials"),
                *_seen(comparison, FINAL, f"after {comparison.setup.trials:,} trials"),
                _power(comparison),
                _time(comparison),
                _repeats(comparison),
            )
            if sentence
        ),
    )


def unbeaten(comparison: Comparison, measure: str) -> tuple[str, ...]:
    """The samplers that no other is seen to beat."""
    beaten = {
        test.second if test.better == test.first else test.first
        for test in comparison.tests
        if test.measure == measure and test.better is not None
    }
    return tuple(sampler for sampler in comparison.setup.samplers if sampler not in beaten)


def spell(estimate: Estimate, form: str = ",.0f", scale: float = 1.0, unit: str = "") -> str:
    """An estimate with its interval: 35 (31–40), or: not reached."""
    if estimate.median is None:
        return "not reached"
    low, high = (
        "not reached" if bound is None else format(scale * bound, form)
        for bound in (estimate.low, estimate.high)
    )
    return f"{format(scale * estimate.median, form)}{unit} ({low}–{high})"


def spell_needed(needed: Needed, seeds: int) -> str:
    """Trials with their interval, and how many seeds got there where not all did."""
    if needed.reached == 0:
        return "not reached"
    some = f", reached by {needed.reached} of {seeds} seeds" if needed.reached < seeds else ""
    return f"{spell(needed.trials)}{some}"


def spell_p(p: float) -> str:
    return f"p < {CLEARLY}" if p < CLEARLY else f"p = {p:.2g}"


def _headline(comparison: Comparison) -> str:
    samplers = comparison.setup.samplers
    tests = [test for test in comparison.tests if test.measure == MEAN]
    if not tests:
        return f"{samplers[0]} alone: nothing to compare it with"
    if all(test.better is None for test in tests):
        few = f": {len(comparison.setup.seeds)} seeds are too few to see one" if _power(comparison) else ""
        return f"No difference seen between {_and(samplers)}{few}"
    best = unbeaten(comparison, MEAN)
    wins = {s: [_other(t, s) for t in tests if t.better == s] for s in best}
    if len(best) == 1 and len(wins[best[0]]) == len(samplers) - 1:
        return f"{best[0]} is the most sample-efficient: it beats {_and(wins[best[0]])}"
    if len(best) == 1:
        return f"No sampler is seen to be better than {best[0]}, which beats {_and(wins[best[0]])}"
    return f"No sampler is seen to be better than {_and(best)}; between these no difference seen"


def _basis(comparison: Comparison) -> str:
    setup = comparison.setup
    names = ", ".join(f"{name.rpartition(':')[2]} {value:.4g}" for name, value in setup.reference.items())
    whose = (
        f"the exact front of all {setup.basis_plans:,} plans that are admitted"
        if setup.basis == "exact"
        else f"the front of the {setup.basis_plans:,} plans of all runs together (the space is above the "
        f"limit of {setup.enumeration_limit:,} plans for enumeration: its exact front is not known)"
    )
    return (
        f"Hypervolumes are relative to {whose}, which has {setup.front_size:,} points; they are measured "
        f"up to the reference point {names} (chance, and the dearest admitted plan). Intervals are 95 % "
        f"bootstrap intervals of the median over {len(setup.seeds):,} seeds."
    )


def _mean(comparison: Comparison) -> str:
    ordered = sorted(comparison.summaries, key=lambda s: -(s.mean_hypervolume.median or 0.0))
    values = "; ".join(f"{s.sampler} {spell(s.mean_hypervolume, '.1f', 100, ' %')}" for s in ordered)
    return f"Mean hypervolume over {comparison.setup.trials:,} trials: {values}."


def _needed(comparison: Comparison, position: int) -> str:
    ordered = sorted(comparison.summaries, key=lambda s: _order(s.needed[position].trials))
    seeds = len(comparison.setup.seeds)
    values = "; ".join(f"{s.sampler} {spell_needed(s.needed[position], seeds)}" for s in ordered)
    return f"Trials needed for {100 * SHARES[position]:.0f} % of the hypervolume: {values}."


def _order(estimate: Estimate) -> tuple[bool, float]:
    return estimate.median is None, estimate.median or 0.0


def _seen(comparison: Comparison, measure: str, when: str) -> list[str]:
    tests = [test for test in comparison.tests if test.measure == measure]
    sentences = []
    for sampler in comparison.setup.samplers:
        won = [test for test in tests if test.better == sampler]
        if won:
            losers = _and([f"{_other(test, sampler)} ({spell_p(test.corrected)})" for test in won])
            sentences.append(f"{sampler} is better than {losers} {when}.")
    equal = [test for test in tests if test.better is None]
    if equal:
        pairs = "; ".join(f"{t.first} and {t.second} ({spell_p(t.corrected)})" for t in equal)
        sentences.append(f"No difference seen {when} between {pairs}.")
    return sentences


def _other(test: PairTest, sampler: str) -> str:
    return test.second if test.first == sampler else test.first


def _power(comparison: Comparison) -> str:
    """A word of caution where no outcome at all could have shown a difference."""
    seeds, tests = len(comparison.setup.seeds), len(comparison.tests)
    if tests == 0 or smallest_p(seeds) * tests < SIGNIFICANT:
        return ""
    enough = next(count for count in range(seeds, 100) if smallest_p(count) * tests < SIGNIFICANT)
    return (
        f"With {seeds} seeds hardly any difference can be seen: the smallest p of a test is "
        f"{smallest_p(seeds):.2g}, and there are {tests} tests; give at least {enough} seeds."
    )


def _time(comparison: Comparison) -> str:
    trials = comparison.setup.trials
    own = "; ".join(
        f"{s.sampler} {1000 * s.sampler_seconds.median / trials:.3g} ms"
        for s in comparison.summaries
        if s.sampler_seconds.median is not None
    )
    return (
        f"The sampler's own time for a trial: {own}; to score a plan alone takes "
        f"{1000 * comparison.setup.plan_seconds:.3g} ms."
    )


def _repeats(comparison: Comparison) -> str:
    repeating = {run.sampler for run in comparison.runs if run.repeated[-1]}
    if not repeating:
        return "No sampler proposed a plan twice."
    values = "; ".join(
        f"{s.sampler} {spell(s.repeated)}{_drawn(s)}" for s in comparison.summaries if s.sampler in repeating
    )
    return f"Proposals in a run that repeated earlier ones (a repeat is no trial): {values}."


def _drawn(summary: Summary) -> str:
    if summary.drawn == 0:
        return ""
    return f" ({summary.drawn:,} trials of all runs were drawn at random because it only repeated itself)"


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
