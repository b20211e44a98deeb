"""Whose name a project is, and that files of several searches are not taken for one run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from narrower.errors import RunError
from narrower.report.whole_run import read_whole_run
from narrower.store.files import write_text
from narrower.store.run_directory import RunDirectory, claimed, first_free
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower
from tests.report.made_up_run import write_run

READERS: dict[str, tuple[str, ...]] = {
    "show": ("show", "mixed"),
    "show --all": ("show", "mixed", "--csv", "--all"),
    "report": ("report", "mixed"),
    "pick": ("pick", "mixed", "--knee"),
    "export": ("export", "mixed", "--trial", "0"),
    "latency": ("latency", "mixed"),
    "export-study": ("export-study", "mixed", "study.db"),
}


@pytest.fixture
def two_runs(small_run: RunDirectory) -> tuple[Path, Path]:
    """A copy of the small run, and another one of the same model with other widths and weights."""
    shutil.copytree(small_run.path, "mixed")
    other = Path(shutil.copytree(small_run.path, "other"))
    settings = (other / "settings.toml").read_text(encoding="utf-8")
    (other / "settings.toml").write_text(settings.replace("seed = ", "seed = 1"), encoding="utf-8")
    weights = bytearray((other / "models" / "float32.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "models" / "float32.safetensors").write_bytes(weights)
    front = json.loads((other / "front.json").read_text(encoding="utf-8"))
    front["members"][0]["plan_index"] += 1
    (other / "front.json").write_text(json.dumps(front), encoding="utf-8")
    return Path("mixed"), other


@pytest.mark.parametrize("file", ["settings.toml", "models/float32.safetensors", "front.json"])
@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_another_search_is_named(
    two_runs: tuple[Path, Path], run_narrower: RunNarrower, reader: str, file: str
) -> None:
    mixed, other = two_runs
    if reader == "show --all" and file == "front.json":
        pytest.skip("it does not read the front")
    shutil.copy(other / file, mixed / file)
    code, out, err = run_narrower(*READERS[reader])
    assert code == 2
    assert "do not belong together" in err
    assert file in err
    assert out == ""


def test_transform_takes_only_the_weights_that_the_plan_was_picked_for(
    two_runs: tuple[Path, Path], run_narrower: RunNarrower
) -> None:
    mixed, other = two_runs
    code, out, _ = run_narrower("pick", mixed, "--knee")
    assert code == 0
    Path("plan.toml").write_text(out, encoding="utf-8")
    assert run_narrower("transform", "--config", "plan.toml")[0] == 0
    weights = Path("models/float32.safetensors")
    shutil.copy(other / weights, mixed / weights)
    code, _, err = run_narrower("transform", "--config", "plan.toml")
    assert code == 2
    assert "not the weights that the plan was picked for" in err
    lines = [line for line in out.splitlines() if not line.startswith("weights_sha256")]
    Path("plan.toml").write_text("\n".join(lines), encoding="utf-8")
    code, _, err = run_narrower("transform", "--config", "plan.toml")
    assert code == 2
    assert "do not belong together" in err


def test_comments_in_the_settings_change_nothing_and_a_run_of_an_earlier_version_gets_a_note(
    two_runs: tuple[Path, Path], run_narrower: RunNarrower
) -> None:
    mixed, _ = two_runs
    settings = mixed / "settings.toml"
    settings.write_text("# mine\n\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
    code, _, err = run_narrower("show", mixed)
    assert code == 0
    assert "note" not in err
    with TrialStore.open(mixed / "trials.db") as store:
        for name in ("settings file", "weights file"):
            store._connection.execute("DELETE FROM facts WHERE name = ?", (name,))
    code, _, err = run_narrower("show", mixed)
    assert code == 0
    assert "does not record its settings and weights" in err


def test_members_that_are_not_among_the_trials_are_refused(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "one", tried=range(20)), write_run(tmp_path / "other", tried=[5, 4, 3])
    assert read_whole_run(one, lambda _: None).members
    shutil.copy(other.front, one.front)
    with pytest.raises(RunError, match=r"trial \d has another plan"):
        read_whole_run(one, lambda _: None)


CLAIM = """
import sys
from pathlib import Path
from narrower.store.run_directory import claimed
with claimed("race", lambda run: run.trials.exists()) as run:
    print(run.path, flush=True)
    sys.stdin.readline()
    run.trials.touch()
"""


def claiming() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_processes_that_race_for_a_name_get_one_each() -> None:
    racing = [claiming() for _ in range(4)]
    names = {process.stdout.readline().strip() for process in racing if process.stdout}
    assert names == {"runs/race", "runs/race-2", "runs/race-3", "runs/race-4"}
    for process in racing:
        process.communicate("\n", timeout=30)
        assert process.returncode == 0


def test_a_name_that_was_taken_while_it_was_looked_at_is_passed_over() -> None:
    looks = []

    def is_taken(run: RunDirectory) -> bool:
        looks.append(run.path.name)
        if looks == ["race"]:  # another search begins and ends between the look and the lock
            run.path.mkdir(parents=True)
            run.trials.touch()
            write_text(run.settings, "of the other")
            return False
        return run.trials.exists()

    with claimed("race", is_taken) as run:
        assert run.path == Path("runs/race-2")
        assert list(run.path.iterdir()) == [run.path / ".lock"]
    assert Path("runs/race/settings.toml").read_text(encoding="utf-8") == "of the other"


@pytest.mark.parametrize("project", ["", ".", "..", "a/b", "a\0b"])
def test_what_is_no_name_is_refused(project: str) -> None:
    with pytest.raises(RunError, match="is no name for a directory"):
        first_free(project, lambda _: False)


def test_a_project_means_the_same_in_every_command() -> None:
    assert first_free("a_b", lambda _: False).path == Path("runs/a_b")
