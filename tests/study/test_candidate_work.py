"""Candidates that are trained in other processes become what they become in one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import DataSet, Part
from narrower.evaluate.backends.settings import BackendSettings
from narrower.preparation.groups import Group, Made, unpacked
from narrower.preparation.preparation import Subject
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import (
    AdjustedSettings,
    CandidateSettings,
    CrossValidatedSettings,
    PreparationSettings,
    RetrainedSettings,
)
from narrower.searching.together import Round, Together
from narrower.store.trials import TrialStore
from narrower.study.candidate_work import CandidatesElsewhere
from narrower.tasks.quality import Quality, failed
from narrower.training.recipe import Recipe

FORMATS = {"0": {"data": [4, 8], "weight": [2, 3, 4, 6, 8]}, "3": {"data": [4, 8], "weight": [2, 4, 8]}}
WIDTHS = {"0": {"width": [0.5, 1.0, 1.5], "weight": [2, 4]}, "2": {"weight": [4, 8]}}
ONCE = Recipe(max_epochs=1, batch_size=64)
TOGETHER = RetrainedSettings(ONCE)
ONE_BY_ONE = RetrainedSettings(Recipe(max_epochs=1, batch_size=64, schedule="plateau"))


@pytest.fixture(scope="module")
def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(500) % 3
    inputs = torch.randn(500, 1, 4, 4, generator=chance) + classes.view(-1, 1, 1, 1)
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 300), slice(300, 400), slice(400, 500))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def convolution() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


def flat(part: Part) -> Part:
    return replace(part, inputs=part.inputs.flatten(1))


def left(
    data: DataSet, settings: PreparationSettings, sampler: str, trials: int, directory: Path, **others: Any
) -> dict[str, Any]:
    """Everything that a search leaves: trials, curves, weights, members."""
    space, model = FORMATS, convolution()
    if isinstance(settings, CandidateSettings):  # a chain of linear layers is not traced for each width
        space, model = WIDTHS, linear()
        data = replace(data, **{part: flat(getattr(data, part)) for part in ("train", "validation", "test")})
    found = narrower.search(
        model, data, space, ["accuracy", "bitops"], candidates=settings, sampler=sampler,
        n_trials=trials, directory=directory, **others,
    )  # fmt: skip
    with TrialStore.open(directory / "trials.db") as store:
        kept = [(trial.number, trial.plan_index, trial.metrics, trial.state) for trial in store.trials()]
    files = {
        str(path.relative_to(directory)): path.read_bytes()
        for part in ("curves", "candidates")
        for path in directory.glob(f"{part}/**/*")
        if path.is_file()
    }
    members = [
        (member.number, member.metrics, member.alone_value, member.seed_values, member.certain)
        for member in found.record.members
    ]
    return {"trials": kept, "files": files, "members": members}


@pytest.mark.parametrize(
    ("settings", "sampler", "trials"),
    [
        pytest.param(TOGETHER, "random", 40, id="two groups at a time, of convolutions"),
        pytest.param(ONE_BY_ONE, "nsgaii", 6, id="one by one"),
        pytest.param(RetrainedSettings(ONCE, "nearest"), "random", 18, id="from the nearest"),
        pytest.param(RetrainedSettings(ONCE, front_seeds=3), "random", 18, id="seeds of the front"),
        pytest.param(CrossValidatedSettings(ONCE, folds=2, float_recipe=ONCE), "random", 20, id="folds"),
        pytest.param(
            CrossValidatedSettings(ONCE, "nearest", folds=2, float_recipe=ONCE),
            "random",
            18,
            id="folds, from the nearest",
        ),
        pytest.param(CandidateSettings(training=ONCE, seeds=2), "random", 8, id="resized"),
        pytest.param(AdjustedSettings(("biases",), 50), "random", 2, id="adjusted", marks=pytest.mark.slow),
    ],
)
def test_two_processes_leave_what_one_leaves(
    settings: PreparationSettings, sampler: str, trials: int, blobs: DataSet, tmp_path: Path
) -> None:
    one, two = (
        left(
            blobs,
            settings,
            sampler,
            trials,
            tmp_path / str(jobs) / "run",
            backend=BackendSettings("processes", jobs=jobs),
        )
        for jobs in (1, 2)
    )
    assert one == two
    assert len(one["trials"]) == trials
    folds = settings.folds if isinstance(settings, CrossValidatedSettings) else 0
    weights = folds * (trials + 1) or trials  # with the float models
    assert len(one["files"]) == (trials + weights if isinstance(settings, RetrainedSettings) else 0)


class Lossy:
    """Workers that do what they are asked for in this process, and lose every second group."""

    lost = 0

    def __init__(self) -> None:
        self.asked: list[Group] = []

    def workers(self) -> int:
        return 2

    def start(self, engine: Any) -> None:
        self.engine = engine

    def score(self, plans: Sequence[Any], loss: bool) -> list[Any]:
        self.asked += plans
        return [failed("3 workers were lost over it", 0) for _ in plans]

    def close(self) -> None:
        pass


def test_plans_whose_workers_are_lost_fail_with_the_reason(blobs: DataSet) -> None:
    subject = Subject("small", convolution(), narrower.trace(convolution(), blobs.train.inputs[:3]), blobs)
    retrained, workers = Retrained(subject, TOGETHER), Lossy()
    plans = [narrower.Plan.of({"0": narrower.LayerPlan(weight=narrower.FixedPoint(w, 1))}) for w in (2, 3, 4)]
    found = CandidatesElsewhere(retrained, workers, 7).evaluate([plans[:2], plans[2:]])
    assert found == dict.fromkeys(plans, Quality(7, failure="3 workers were lost over it"))
    assert [group.plans for group in workers.asked] == [tuple(plans[:2]), tuple(plans[2:])]
    assert all(retrained.kept(plan) is None for plan in plans)


def test_what_is_sent_is_what_was_made() -> None:
    curve = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    sent = Made(((convolution(),), "no loss"), (curve, None)).weights
    back = unpacked(sent.packed())
    assert back.states[1] == "no loss"
    assert back.curves[1] is None
    torch.testing.assert_close(back.curves[0], curve)
    torch.testing.assert_close(back.states[0][0], convolution().state_dict())  # type: ignore[index]


def rounds(*counts: int) -> list[Round]:
    return [Round([()] * n, list(range(n)), {}, [None] * n, list(range(n))) for n in counts]


@pytest.mark.parametrize("in_list", [1, 5, 32])
def test_lists_are_cut_as_one_process_trains_them(in_list: int) -> None:
    """In one process, a chunk of each round is cut into what is trained at once."""
    asked = rounds(32, 29, 7)
    wanted = [
        min(in_list, length - start)
        for length in (16, 16, 29, 7)  # the first plans of a run are seen soon
        for start in range(0, length, in_list)
    ]
    elsewhere = Together(32, lambda _lists: [], in_list, 3)
    chunks = list(elsewhere.chunks(asked, is_first=True))
    assert [len(positions) for chunk in chunks for _, positions in chunk] == wanted
    assert all(len(chunk) == 3 for chunk in chunks[:-1])
    assert [each for chunk in chunks for _, positions in chunk for each in positions] == [
        position for each in asked for position in each.fresh
    ]
    assert [len(chunk) for chunk in Together(32).chunks(asked, is_first=False)] == [1, 1, 1]
