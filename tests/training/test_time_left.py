"""The time that is left is told within a factor of 2, whatever the work is like."""

import io
import random
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from narrower.cli import progress
from narrower.cli.progress import search_progress, step_progress
from narrower.training.time_left import TimeLeft

CHANCE = random.Random(0)


def digits(number: int) -> int:
    """How many of the last digits of base 3 change from the number before: what such a plan shares not."""
    count = 1
    while number and number % 3 == 0:
        number, count = number // 3, count + 1
    return count


# Pairs of how much is done and how long it takes, one after the other.
WORK: dict[str, Sequence[tuple[int, float]]] = {
    "all alike": [(1, 0.2)] * 100,
    "plans of minutes": [(1, 90.0)] * 20,
    "the first one compiles": [(1, 30.0), *[(1, 0.5)] * 99],
    "chunks that grow": [(1, 2.0), (4, 0.4), (16, 1.5), *[(40, 4.0)] * 10],
    "a search that goes on": [(100, 0.01)] * 3 + [(1, 1.0)] * 700,
    "plans that share prefixes": [(1, 0.1 * digits(number)) for number in range(729)],
    "a sampler that slows down": [(1, 1.0 + number / 100) for number in range(200)],
    "values that come to be held": [(1, 3.0 if number < 30 else 1.5) for number in range(300)],
    "candidates that are trained together": [(16, CHANCE.uniform(3, 5)) for _ in range(12)],
    "by chance": [(1, CHANCE.expovariate(1.0)) for _ in range(400)],
}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("kind", WORK)
def test_the_rest_takes_at_least_half_and_at_most_twice_as_long(kind: str, share: float) -> None:
    work = WORK[kind]
    total = sum(count for count, _ in work)
    fresh = total - sum(count for count, seconds in work if seconds < 0.1)  # not taken from an earlier search
    now, done, left = 1000.0, 0, TimeLeft(total, 1000.0)
    whole = now + sum(seconds for _, seconds in work)
    for count, seconds in work:
        now, done = now + seconds, done + count
        left.report(done, now)
        if done >= total - fresh + share * fresh:
            break
    told = left.seconds(now)
    assert told is not None
    assert (whole - now) / 2 <= told <= 2 * (whole - now)


def test_time_goes_by_between_two_reports_and_never_beyond_the_next_one() -> None:
    left = TimeLeft(10, 0.0)
    assert left.seconds(5.0) is None
    left.report(2, 20.0)
    assert left.seconds(20.0) == 80
    assert left.seconds(25.0) == 75
    assert left.seconds(500.0) == 60  # the two that are being done take longer than they should
    left.report(10, 510.0)
    assert left.seconds(600.0) == 0


def test_what_was_done_before_it_began_counts_for_nothing() -> None:
    left = TimeLeft(100, 0.0, done=90)
    left.report(91, 7.0)
    assert left.seconds(7.0) == 63


def test_a_long_work_is_remembered_in_few_marks() -> None:
    left = TimeLeft(1_000_000, 0.0)
    for number in range(1, 100_001):
        left.report(number, 0.01 * number)
    assert len(left._marks) < 1000
    assert left.seconds(1000.0) == pytest.approx(9000)


def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(
        progress, "messages", lambda: Console(file=written, force_terminal=True, width=120, color_system=None)
    )
    return written


def test_the_bar_of_a_search_shows_it_where_a_plan_takes_longer_than_any_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, now = shown(monkeypatch), [0.0]
    with search_progress(20, clock=lambda: now[0]) as report:
        for number in range(1, 6):
            now[0] += 100
            report(number, 1)
    last = re.findall(r"(\d+)/20 (\S+) plans/s (\S+) front 1", written.getvalue())[-1]
    assert last == ("5", "0.01", "0:25:00")


def test_each_bar_of_several_works_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    written, now = shown(monkeypatch), [0.0]
    with step_progress(clock=lambda: now[0]) as report:
        now[0] = 10.0
        report("first", 1, 1)
        now[0] = 40.0
        report("second", 1, 4)
    assert re.findall(r"second .*?1/4 (\S+)", written.getvalue())[-1] == "0:01:30"
