"""Every member of learned fronts becomes logic and ONNX that compute what was scored."""

from pathlib import Path

import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.export.deliver import export_plan
from narrower.export.luts import luts
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.preparation.learning.learn import learn
from narrower.preparation.learning.plan_form import as_model, plan_of
from narrower.preparation.learning.settings import LearnSettings
from tests.preparation.learning.programs.networks import Convolutional, images, lowered
from tests.preparation.learning.programs.test_training import training

SAMPLES = Wishes(samples=1000)


def chain_members(jets: DataSet, settings: LearnSettings) -> list[Subject]:
    members = learn((16, 8, 8, 5), jets.train, jets.validation, settings).members
    subjects = []
    for member in members:
        model, names = as_model(member.network)
        subjects.append(Subject(model, "tagger", plan_of(member.network, names), jets, member.number))
    return subjects


def convolutional_members() -> list[Subject]:
    done, data = training(Convolutional), images(6000)
    done.run()
    subjects = []
    for member in done.members:
        model, _ = lowered(Convolutional)
        model.load_state_dict(dict(member.network.state), strict=False)
        subjects.append(Subject(model, "corners", member.network.plan, data, member.number))
    return subjects


def luts_of(subject: Subject) -> float:
    inputs = subject.data.test.inputs[:3]
    program = lower(trace(subject.model, inputs, subject.model_name))
    with torch.no_grad():
        return luts(program, subject.plan, subject.model(inputs).numpy())


def check(subjects: list[Subject], directory: Path, kinds: tuple[str, ...]) -> None:
    """Each of them passes the gate of each kind."""
    for subject in subjects:
        for kind in kinds:
            manifest = export_plan(subject, kind, directory / f"{kind}-{subject.trial}", SAMPLES)
            assert manifest.passed
            assert all(check.differing_elements == 0 for check in manifest.checks)


def spread(subjects: list[Subject]) -> list[Subject]:
    """The cheapest, the best, and one between them."""
    return [subjects[0], subjects[len(subjects) // 2], subjects[-1]]


def test_members_of_a_chain_have_luts_and_pass_the_gate(
    jets: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("da4ml")
    monkeypatch.setattr("shutil.which", lambda _: None)  # a compilation for each; see the slow test
    few = DataSet("jets", jets.train.first(3000), jets.validation.first(1500), jets.test, jets.output_names)
    subjects = chain_members(few, LearnSettings(epochs=20, batch_size=256, cycles=2, soft_share=0.0))
    numbers = [luts_of(subject) for subject in spread(subjects)]
    assert 0 < numbers[0] < numbers[-1]
    check(spread(subjects), tmp_path, ("onnx", "verilog"))


def test_members_with_convolutions_have_luts_and_pass_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("da4ml")
    monkeypatch.setattr("shutil.which", lambda _: None)
    subjects = convolutional_members()
    numbers = [luts_of(subject) for subject in spread(subjects)]
    assert 0 < numbers[0] < numbers[-1]
    check(spread(subjects)[:2], tmp_path, ("onnx", "verilog"))


@pytest.mark.slow
@pytest.mark.parametrize("network", ["chain", "convolutions"])
def test_whole_fronts_have_luts_and_pass_every_gate(network: str, jets: DataSet, tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    pytest.importorskip("qonnx")
    subjects = (
        chain_members(jets, LearnSettings(epochs=150, cycles=10))
        if network == "chain"
        else convolutional_members()
    )
    numbers = [luts_of(subject) for subject in subjects]
    assert min(numbers) > 0
    check(subjects, tmp_path, ("onnx", "qonnx", "verilog"))
