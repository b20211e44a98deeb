"""The commands that the pages of docs/ begin with run as they are written, on small stand-ins."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.conftest import RunNarrower
from tests.docs.console import ROOT, fast

PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "cli.md")
COMMAND = re.compile(r"^    (narrower .*)$", re.MULTILINE)
MY_MODELS = """
from torch import nn

def tagger():
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
"""
MINE = """
from torch import nn

def model():
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
"""
# What makes a command short: how much it works is not what is tested here.
SHORTER = {
    "train": ("--max-epochs", "1"),
    "latency": ("--limit", "0.1"),
    "compare": ("--seeds", "2", "--trials", "8"),
}
# Files that these read are made and read in tests/tasks/test_jsc_files.py and test_cifar.py.
ELSEWHERE = {
    "narrower train jsc-toy jsc --data-path jets.z",
    "narrower train vgg7 cifar10 --data-path cifar-10-batches-bin",
}


def write_data() -> None:
    """A table of sales with a class and a number to foretell, and folders of pictures."""
    chance = np.random.default_rng(0)
    prices, sizes = chance.normal(30, 5, 120), chance.normal(3, 1, 120)
    rows = [f"{n % 2},{prices[n]:.2f},{n % 7},{sizes[n]:.2f}" for n in range(120)]
    Path("sales.csv").write_text("\n".join(["sold,price,shop,size", *rows]) + "\n", encoding="utf-8")
    for number in range(20):
        folder = Path("pictures", ("cat", "dog")[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((16, 16, 3), 12 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def commands(page: Path) -> list[str]:
    return [match.split("  #")[0].strip() for match in COMMAND.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(
    page: Path, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("configs").mkdir()
    for config in (ROOT / "configs").glob("*.toml"):
        Path("configs", config.name).write_text(
            fast(config, None if "toy" in config.name else 4), encoding="utf-8"
        )
    Path("my_models.py").write_text(MY_MODELS, encoding="utf-8")
    Path("mine.py").write_text(MINE, encoding="utf-8")
    write_data()
    linear = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5))
    save_file(linear.state_dict(), "tagger.safetensors")
    typed = commands(page)
    if any(" RUN" in line for line in typed):
        assert run_narrower("search", "--config", "configs/jsc-toy.toml", "--project", "RUN")[0] == 0
    for line in typed:
        if line not in ELSEWHERE:
            _, command, *arguments = shlex.split(line.split(" > ")[0])
            arguments = ["runs/RUN" if argument == "RUN" else argument for argument in arguments]
            code, _, err = run_narrower(command, *arguments, *SHORTER.get(command, ()))
            assert code == 0, f"{page.name}: {line}\n{err}"
