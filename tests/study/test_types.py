"""Public names have types: what a user writes passes mypy --strict."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import narrower

SCRIPT = """
import narrower
from torch import nn


def enough(trial: narrower.TrackedTrial) -> None:
    if trial.metrics["accuracy"] > 0.9:
        raise narrower.StopSearch


model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
space = {"0": {"data": [4, 8], "weight": [2, 4]}}
found = narrower.search(model, "jets", space, ["accuracy", "bitops"], samples=256, callbacks=[enough])
best = found.best(max={"bitops": 5000})
network: nn.Module = found.model(best)
number: int = best.number
with narrower.Study(model, "jets", space, ["accuracy", "bitops"]) as study:
    for asked in study.ask(4):
        told: int = study.tell(asked, {"accuracy": 0.5})
reveal_type(best.metrics)
"""
WRONG = "number: int = found.best().metrics\n"


def test_type_checkers_see_the_names_that_are_loaded_on_use() -> None:
    tree = ast.parse(Path(narrower.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == narrower._HOMES


@pytest.mark.slow  # mypy reads all of PyTorch
def test_a_script_of_a_user_passes_mypy_strict(tmp_path: Path) -> None:
    Path("mine.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "dict[str, float]" in done.stdout) == (0, True), done.stdout
    Path("mine.py").write_text(SCRIPT + WRONG, encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
