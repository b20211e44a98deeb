"""A sampler that proposes otherwise than the run recorded is an error that names what changed."""

import json
import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pytest

from narrower.errors import RunError
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.study import search
from tests.searching.test_samplers import problem, searched


@pytest.mark.parametrize("has_changed", [True, False])
def test_the_changed_version_is_named(trained: Path, tmp_path: Path, has_changed: bool) -> None:
    posed = problem(trained, "tpe", trials=15)
    searched(posed, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    connection = sqlite3.connect(run.trials)
    with connection:
        connection.execute("UPDATE trials SET plan_index = plan_index + 1 WHERE number = 12")
        (text,) = connection.execute("SELECT value FROM facts WHERE name = 'environment'").fetchone()
        environment = json.loads(text)
        if has_changed:
            environment["versions"]["optuna"] = "3.0.0"
        connection.execute(
            "UPDATE facts SET value = ? WHERE name = 'environment'", (json.dumps(environment),)
        )
    connection.close()
    with TrialStore.open(run.trials) as store, pytest.raises(RunError) as caught:
        search(posed, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
    assert "trial 12" in str(caught.value)
    assert "tpe" in str(caught.value)
    expected = "optuna 3.0.0" if has_changed else "no version that is recorded"
    assert expected in str(caught.value)
