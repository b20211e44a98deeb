"""A run keeps what its trials depend on."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from narrower.searching.samplers.guided import Guided
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.pose import pose
from narrower.study.problem import Problem
from narrower.study.run_facts import begin_run
from narrower.study.study import search
from tests.cli.settings_file import settings_file


def searched(problem: Problem, run: RunDirectory, store: TrialStore) -> list[int]:
    with store:
        search(problem, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
        return [trial.plan_index for trial in store.trials()]


def test_a_resumed_run_asks_for_as_many_plans_at_a_time_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings_file(Path("a.toml"), sampler="guided", setup="n_trials = 14", samples=64)
    problem = pose(load_settings(config).settings)
    whole, part = RunDirectory(Path("whole")), RunDirectory(Path("part"))
    expected = searched(problem, whole, begin_run(problem, whole, ""))
    shorter = replace(problem, options=replace(problem.options, trials=9))
    begun = searched(shorter, part, begin_run(shorter, part, ""))
    assert begun == expected[:9]
    monkeypatch.setattr(Guided, "default_batch", 1)  # as another version of the program may have it
    assert searched(problem, part, TrialStore.open(part.trials)) == expected
