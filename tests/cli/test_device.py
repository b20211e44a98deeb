"""``search --device``: devices that are not here, and runs that were scored on another one."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a device is here")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "cuda:1"), "device: found 'cuda:1', which is not here; here: "),
        (("--device", "gpu"), "--device: found 'gpu'; allowed: cpu, cuda, cuda:1, mps, auto"),
        (("--device", "mps", "--backend", "processes"), "--device goes with --backend device"),
    ],
)
def test_a_device_that_is_not_here_is_named(
    run_narrower: RunNarrower, trained: Path, options: tuple[str, ...], said: str
) -> None:
    search = ("search", "--model", "jsc-toy", "--dataset", "jets", "--trials", "4", "--samples", "64")
    code, _, err = run_narrower(*search, "--load", str(trained), *options)
    assert code == 2
    assert said in err
    assert not list(Path.cwd().glob("runs/*/trials.sqlite3"))


def test_it_is_named_before_anything_is_trained(run_narrower: RunNarrower) -> None:
    search = ("search", "--model", "jsc-toy", "--dataset", "jets", "--trials", "4", "--device", "cuda")
    code, _, err = run_narrower(*search)
    assert code == 2
    assert "training" not in err
    assert not Path("runs").exists()


def test_plans_are_not_dropped_early_on_a_device(run_narrower: RunNarrower) -> None:
    search = ("search", "--model", "jsc-toy", "--dataset", "jets", "--trials", "4", "--sampler", "random")
    code, _, err = run_narrower(*search, "--drop-dominated", "--device", "auto", "--backend", "device")
    assert code == 2
    assert "take another backend than 'device', or drop_dominated = false" in err


def test_a_run_goes_on_with_its_device(run_narrower: RunNarrower, small_run: RunDirectory) -> None:
    shutil.copytree(small_run.path, "run")
    assert run_narrower("search", "--resume", "run", "--device", "auto")[0] == 0
    with TrialStore.open(RunDirectory(Path("run")).trials) as store:
        store.set_fact("device", "cuda:0 (A100)")
    code, _, err = run_narrower("search", "--resume", "run")
    assert code == 2
    assert "its trials were scored on cuda:0 (A100), not on cpu" in err


def test_results_of_another_device_are_not_taken_over(
    run_narrower: RunNarrower, trained: Path, small_run: RunDirectory
) -> None:
    options = "--model jsc-toy --dataset jets --samples 256 --trials 12 --sampler random"
    search = ("search", *options.split(), "--load", str(trained), "--json")
    for device, taken in ((None, 12), ("cuda:0 (A100)", 0)):
        shutil.rmtree("runs", ignore_errors=True)
        shutil.copytree(small_run.path, "runs/before")
        if device is not None:
            with TrialStore.open(RunDirectory(Path("runs/before")).trials) as store:
                store.set_fact("device", device)
        code, out, err = run_narrower(*search)
        assert code == 0, err
        assert json.loads(out)["summary"]["taken_over"] == taken
