"""A full disk ends every command that writes with a sentence, and a search goes on once there is space."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower

DISK_KIBIBYTES = 12_000
BLOCK = 4096


class Disk:
    """A small file system, and a file that takes up what is not to be free."""

    def __init__(self, path: Path) -> None:
        self.path, self._filler = path, path / "filler"

    def leave(self, kibibytes: int) -> None:
        """Fill it until only so much is free."""
        self._filler.unlink(missing_ok=True)
        with self._filler.open("wb", buffering=0) as file:
            while (free := os.statvfs(self.path).f_bavail - kibibytes * 1024 // BLOCK) > 0:
                file.write(b"\0" * BLOCK * min(free, 256))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The current directory lies on it."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIBIBYTES}k", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    monkeypatch.chdir(path)
    yield Disk(path)
    os.chdir(tmp_path)
    subprocess.run(["umount", "-l", str(path)], check=True)


SEARCH = (
    "--model",
    "jsc-toy",
    "--dataset",
    "jets",
    "--samples",
    "256",
    "--trials",
    "60",
    "--sampler",
    "random",
)
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "train": (("train", "jsc-tiny", "jets", "--max-epochs", "1", "--batch-size", "4096"), (0, 4, 8)),
    "resize": (("resize", "jsc-toy", "--set", "seq_blocks.2=4", "--output", "o/x.safetensors"), (0, 4)),
    "transform": (("transform", "--config", "plan.toml", "--output", "o/x.safetensors"), (0,)),
    "export": (("export", "runs/a", "--trial", "0"), (0, 4)),
    "export safetensors": (("export", "runs/a", "--trial", "0", "--to", "safetensors"), (0,)),
    "export-study": (("export-study", "runs/a", "o/study.db"), (0, 8, 100)),
    "report": (("report", "runs/a", "--png"), (0, 100, 4800)),
    "compare": (
        (
            "compare",
            "--config",
            "runs/a/settings.toml",
            "--load",
            "runs/a/models/float32.safetensors",
            "--samplers",
            "random",
            "--seeds",
            "1",
            "--trials",
            "4",
            "--jobs",
            "1",
        ),
        (0, 4),
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_that_the_disk_is_full_and_leaves_nothing_half(
    run_narrower: RunNarrower, disk: Disk, small_run: RunDirectory, command: str
) -> None:
    shutil.copytree(small_run.path, "runs/a")
    _, plan, _ = run_narrower("pick", "runs/a", "--knee")
    Path("plan.toml").write_text(plan, encoding="utf-8")
    arguments, spaces = COMMANDS[command]
    for free in spaces:
        disk.leave(free)
        code, _, err = run_narrower(*arguments)
        assert code == 2, (free, err)
        assert "the disk is full" in err
        assert "Traceback" not in err
        assert not list(Path().rglob("*.partial*"))
    disk.empty()
    code, _, err = run_narrower(*arguments)
    assert code == 0, err


def trials(run: Path) -> list[tuple[int, dict[str, float]]]:
    with TrialStore.open(run / "trials.db", read_only=True) as store:
        return [(trial.plan_index, trial.metrics) for trial in store.trials()]


@pytest.mark.parametrize("free", [0, 4, 8, 12, 16, 24, 32, 48, 64, 80, 96])
def test_a_search_on_a_full_disk_goes_on_when_there_is_space(
    run_narrower: RunNarrower, disk: Disk, small_run: RunDirectory, tmp_path: Path, free: int
) -> None:
    disk.leave(free)
    options = (*SEARCH, "--load", small_run.weights, "--project", "tight")
    code, _, err = run_narrower("search", *options)
    assert "Traceback" not in err
    run = Path("runs/tight")
    if code == 2:
        assert "the disk is full" in err
        disk.empty()
        again = ("--resume", run) if (run / "trials.db").exists() else options
        code, _, err = run_narrower("search", *again)
    assert code == 0, err
    os.chdir(tmp_path)
    assert run_narrower("search", *options)[0] == 0
    assert trials(disk.path / run) == trials(run)
    assert run_narrower("show", disk.path / run)[0] == 0
