"""A guided search that begins where layers lose bits at the least loss."""

from pathlib import Path

import pytest

from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower

OPTIONS = (
    *("search", "--model", "jsc-toy", "--dataset", "jets", "--weight-widths", "2,4,8"),
    *("--data-widths", "8", "--fraction", "auto", "--objective", "accuracy", "--objective", "bitops"),
    *("--samples", "600", "--trials", "8"),
)


def tried(run_narrower: RunNarrower, trained: Path, *options: str) -> list[int]:
    """The plans of a search by number, in the order of its trials."""
    code, _, err = run_narrower(*OPTIONS, "--load", trained, *options)
    assert code == 0, err
    run = RunDirectory(Path("runs") / options[options.index("--project") + 1])
    with TrialStore.open(run.trials, read_only=True) as store:
        return [trial.plan_index for trial in store.trials()]


def test_the_first_trials_are_the_ends_and_plans_between(run_narrower: RunNarrower, trained: Path) -> None:
    found = tried(run_narrower, trained, "--sampler", "guided", "--sensitivity-first", "--project", "s")
    again = tried(run_narrower, trained, "--sampler", "guided", "--sensitivity-first", "--project", "t")
    plain = tried(run_narrower, trained, "--sampler", "guided", "--project", "u")
    assert found == again
    assert found[0] == plain[0]  # all widths as large as possible
    assert found != plain


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sampler", "tpe"), "sensitivity_first = true is for the sampler 'guided', not 'tpe'"),
        (("--sampler", "guided", "--objective", "model_size"), "it needs two objectives side by side"),
    ],
)
def test_it_is_for_the_guided_sampler_with_one_loss_and_one_cost(
    run_narrower: RunNarrower, trained: Path, options: tuple[str, ...], said: str
) -> None:
    code, _, err = run_narrower(*OPTIONS, "--load", trained, "--sensitivity-first", *options)
    assert code == 2
    assert said in err
