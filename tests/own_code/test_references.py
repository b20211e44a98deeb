"""Names of the user's own code: how they are written, how they are called, and which modules are imported."""

import re
import sys
from pathlib import Path

import pytest

from narrower.cli.own_modules import say_imports
from narrower.data.datasets import load_data_set
from narrower.errors import NarrowerError
from narrower.evaluate.own_metric import own_metric
from narrower.models.build import build_model
from narrower.models.catalogue import model_name
from narrower.tasks.own.task import own_task

MODULE = """
from torch import nn
class Wide(nn.Linear):
    def __init__(self, inputs, *, hidden, scale=1):
        super().__init__(inputs, hidden)
def pair(count): return count
def some(*more, **others): return nn.Linear(2, 2)
"""
TAKEN_BY = [build_model, load_data_set, own_metric, own_task]


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("referred.py").write_text(MODULE, encoding="utf-8")
    Path("inner").mkdir()
    Path("inner/referred.py").write_text("raise SystemExit\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "referred", raising=False)


@pytest.mark.parametrize("take", TAKEN_BY)
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("referred.py:Wide", "referred:Wide"),
        ("inner/referred.py:Wide", "inner.referred:Wide"),
        ("./referred.py:Wide", "referred:Wide"),
        ("../there/referred.py:Wide", "referred:Wide"),
        ("inner/referred:Wide", "inner.referred:Wide"),
    ],
)
def test_a_file_in_the_place_of_a_module_is_told_the_module(take: object, written: str, meant: str) -> None:
    with pytest.raises(NarrowerError, match=f"write {re.escape(meant)},"):
        take(written)  # type: ignore[operator]


def test_a_file_alone_is_told_how_its_names_are_written() -> None:
    for take in (model_name, load_data_set):
        with pytest.raises(NarrowerError, match=r"'inner/referred\.py'; inner\.referred:NAME is"):
            take("inner/referred.py")


@pytest.mark.parametrize("take", [build_model, load_data_set, own_task])
def test_what_takes_arguments_is_told_what_it_is_called_with(take: object) -> None:
    with pytest.raises(NarrowerError) as caught:
        take("referred:Wide")  # type: ignore[operator]
    said = str(caught.value)
    assert "called without arguments, and takes inputs, hidden" in said
    assert "'def wide(): return Wide(inputs=..., hidden=...)', and name referred:wide" in said
    with pytest.raises(NarrowerError, match=r"def my_pair\(\): return pair\(count=...\)"):
        take("referred:pair")  # type: ignore[operator]


def test_arguments_that_may_be_left_out_are_none_that_lack() -> None:
    assert build_model("referred:some") is not None


@pytest.mark.parametrize(
    ("name", "is_said"),
    [
        ("referred:Wide", True),
        ("inner.referred:Wide", True),
        ("referred:Wide?output=x", True),
        ("referred.py:Wide", False),
        ("nowhere_at_all:Wide", False),
        ("referred.more:Wide", False),
        ("hf:bert", False),
        ("timm:resnet18", False),
        ("torchvision:resnet18", False),
        ("toy", False),
    ],
)
def test_imports_are_said_of_modules_that_are_there(
    name: str, is_said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    say_imports("digits", (name,))
    assert ("imports your module" in capsys.readouterr().err) is is_said
    assert "referred" not in sys.modules  # said before it is run, not by running it


@pytest.mark.parametrize(
    ("name", "is_said"), [("sklearn:wine", False), ("hf-disk:a", False), ("referred:pair", True)]
)
def test_imports_are_said_of_data(name: str, is_said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    say_imports(name, ("toy",))
    assert ("imports your module" in capsys.readouterr().err) is is_said
