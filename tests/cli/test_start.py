"""What a search imports: nothing that it does not use."""

import subprocess
import sys
from pathlib import Path

from tests.cli.settings_file import settings_file

HEAVY = (
    "torch._dynamo",
    "torch._inductor",
    "sympy",
    "scipy.stats",
    "scipy.optimize",
    "optuna",
    "sklearn",
    "lightning",
    "torchmetrics",
    "tensorboard",
    "matplotlib",
    "plotly",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "jinja2",
    "pandas",
)
PROGRAM = """
import sys
from narrower.cli.main import run

sys.argv = ["narrower", *sys.argv[1:]]
code = run(sys.argv[1:])
print("imported:", *sorted(sys.modules))
sys.exit(code)
"""


def imported(*arguments: str) -> set[str]:
    """The modules that a fresh process has when the command is done."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split()[1:])


def test_a_search_imports_nothing_that_it_does_not_use(trained: Path) -> None:
    config = settings_file(Path("run.toml"))
    modules = imported("search", "--config", str(config), "--load", str(trained), "--trials", "20")
    assert "torch" in modules
    assert not modules.intersection(HEAVY)


def test_help_needs_no_torch() -> None:
    assert not imported("--help").intersection((*HEAVY, "torch", "scipy"))
