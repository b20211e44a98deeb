"""What the user's own code raises is shown as theirs, with file and line, and ends with 2."""

from pathlib import Path

import pytest

from narrower.errors import ModelError
from narrower.own_code.failures import described, own_place
from narrower.own_code.imported import import_object
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

MINE = """
import sys
import numpy as np
from torch import nn

def data():
    return np.random.default_rng(0).normal(size=(600, 4)), np.arange(600) % 3

def no_data():
    return np.arange(3)[5]

def leaving_data():
    sys.exit(3)

class Picky(nn.Module):
    def __init__(self, largest, leaves=False):
        super().__init__()
        self.layer, self.largest, self.leaves = nn.Linear(4, 3), largest, leaves

    def forward(self, x):
        if len(x) > self.largest:
            if self.leaves:
                sys.exit("too many")
            raise RuntimeError(f"{len(x)} are too many")
        return self.layer(x)

def model():
    return nn.Linear(4, 3)

def of_two():
    return Picky(2)

def of_seventy():
    return Picky(70)

def leaving():
    return Picky(70, True)

def no_model():
    return nn.Linear(4)

def broken(outputs, targets):
    return undefined_name

def leaving_metric(outputs, targets):
    sys.exit()

def of_no_number(outputs, targets):
    return None
"""
LINES = {text.strip(): number for number, text in enumerate(MINE.splitlines(), 1)}


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_own_code.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def search(model: str, metric: str = "") -> tuple[str, ...]:
    objectives = ("--objective", f"mine_of_own_code:{metric}=maximize") if metric else ()
    return (
        "search", "--model", f"mine_of_own_code:{model}", "--dataset", "mine_of_own_code:data",
        *objectives, "--objective", "bitops",
    )  # fmt: skip


RAISES = [
    (("train", "mine_of_own_code:model", "mine_of_own_code:no_data"), "return np.arange(3)[5]", "IndexError"),
    (("train", "mine_of_own_code:model", "mine_of_own_code:leaving_data"), "sys.exit(3)", "sys.exit()"),
    (("train", "mine_of_own_code:no_model", "mine_of_own_code:data"), "return nn.Linear(4)", "TypeError"),
    (
        ("train", "mine_of_own_code:of_two", "mine_of_own_code:data"),
        'raise RuntimeError(f"{len(x)} are too many")',
        "are too many",
    ),
    (
        ("train", "mine_of_own_code:of_seventy", "mine_of_own_code:data"),
        'raise RuntimeError(f"{len(x)} are too many")',
        "are too many",
    ),
    (("train", "mine_of_own_code:leaving", "mine_of_own_code:data"), 'sys.exit("too many")', "sys.exit()"),
    (search("of_seventy"), 'raise RuntimeError(f"{len(x)} are too many")', "are too many"),
    (search("model", "broken"), "return undefined_name", "NameError"),
    (search("model", "leaving_metric"), "sys.exit()", "sys.exit() was called"),
    (
        search("model", "of_no_number"),
        "def of_no_number(outputs, targets):",
        "returned NoneType, expected one",
    ),
]


@pytest.mark.parametrize(("arguments", "line", "said"), RAISES)
def test_it_ends_with_2_and_names_file_and_line(
    run_narrower: RunNarrower, arguments: tuple[str, ...], line: str, said: str
) -> None:
    code, _, err = run_narrower(*arguments)
    assert code == 2
    assert said in err
    assert f"mine_of_own_code.py:{LINES[line]}: {line}" in err
    assert "Traceback" not in err
    assert "defect" not in err


def test_check_says_that_plans_will_fail_and_where(run_narrower: RunNarrower) -> None:
    config = settings_file(Path("a.toml"), layers=("layer",), weights="[8]", biases="[8]", samples=80)
    text = config.read_text(encoding="utf-8").replace('"jets"', '"mine_of_own_code:data"')
    config.write_text(text.replace('"jsc-toy"', '"mine_of_own_code:of_seventy"'), encoding="utf-8")
    code, out, err = run_narrower("check", config)
    assert code == 0, err
    line = LINES['raise RuntimeError(f"{len(x)} are too many")']
    assert "estimated time: unknown (the first plan fails: RuntimeError: 80 are too many" in out
    assert f"mine_of_own_code.py:{line}: " in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit('no')\n", "sys.exit() was called (your code, "),
        ("x = 1\n\ndef broken(:\n", "SyntaxError"),
        ("import numpy\nnumpy.zeros(-1)\n", ".py:2: numpy.zeros(-1))"),
        ("import json\njson.loads('{')\n", ".py:2: json.loads('{'))"),
    ],
)
def test_a_module_that_fails_on_import_is_shown_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    name = f"fails_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as refused:
        import_object(f"{name}:x", ModelError)
    assert said in str(refused.value)
    assert f"{name}.py:" in str(refused.value)


def test_what_the_program_itself_raises_is_not_the_users() -> None:
    with pytest.raises(ModelError) as refused:
        import_object("no_reference", ModelError)
    files = {place.path.name for place in refused.traceback}
    assert files == {"test_own_code.py", "imported.py"}  # a user's file, and then the program's
    assert own_place(refused.value) is None
    assert described(refused.value) == str(refused.value)
