"""Every command and every piece of Python in README.md and docs/ works and prints what the page shows."""

import json
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import RunNarrower
from tests.docs.console import ROOT, Block, Command, blocks, commands, compare, fast

COLUMNS = "110"  # of the terminal whose output the pages show
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / name
        for name in (
            "tour.md",
            "coming-from-mase.md",
            "coming-from-others.md",
            "tutorials/jets-to-fpga.md",
            "tutorials/own-csv.md",
            "tutorials/cnn-to-int8.md",
            "tutorials/a-cluster.md",
            "cost.md",
            "formats.md",
            "datasets.md",
            "settings.md",
            "training.md",
            "trackers.md",
            "python.md",
            *(["microcontroller.md"] if shutil.which("gcc") else []),
            *(["to-an-fpga.md"] if shutil.which("verilator") and find_spec("da4ml") else []),
        )
    ),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_is_what_happens(
    page: Path, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", COLUMNS)
    Path("configs").mkdir()
    for config in (ROOT / "configs").glob("*.toml"):
        Path("configs", config.name).write_text(fast(config, None), encoding="utf-8")
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.kind == "console":
            for command in commands(block):
                program, *arguments = shlex.split(command.typed, comments=True)
                assert program == "narrower", command.typed
                target = None
                if ">" in arguments:
                    arguments, (target,) = arguments[: arguments.index(">")], arguments[-1:]
                code, out, err = run_narrower(*arguments)
                assert code in (0, 2), f"{page.name}:{block.line}: $ {command.typed}\n{err}"
                if target is not None:
                    Path(target).write_text(out, encoding="utf-8")
                    out = ""
                compare(command, out, err, block.numbers_vary)
        elif block.kind == "toml":
            if name := re.match(r"# (\w+\.toml)\n", block.body):
                Path(name[1]).write_text(block.body, encoding="utf-8")
        elif block.kind == "python":
            if name := re.match(r"# (\w+\.py)\n", block.body):
                Path(name[1]).write_text(block.body, encoding="utf-8")
            else:
                exec(compile(block.body, f"{page.name}:{block.line}", "exec"), names)


@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=lambda n: n.stem
)
def test_the_cells_of_a_notebook_run_in_order(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # what they print is not kept: it would not be checked
            exec(compile("".join(cell["source"]), f"{notebook.name}: cell {number}", "exec"), names)


def test_the_readme_is_short_and_shows_a_picture_that_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < 150
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert (ROOT / picture).read_text(encoding="utf-8").startswith("<svg xmlns=")


def test_every_cell_about_a_peer_has_a_source() -> None:
    """A cell is a link, a dash, or the row of what a program is."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    table = [row for row in rows if len(row) == 7]
    defined = set(re.findall(r"^\[([\w-]+)\]: https://", readme, re.MULTILINE))
    assert len(table) > 5
    for row in table[1:]:
        for cell in row[2:]:
            used = re.findall(r"\]\[([\w-]+)\]", cell)
            assert set(used) <= defined
            assert used or cell.strip() in ("–", "---"), row


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake (\w+)", readme))
    assert {"demo", "test"} <= named <= targets


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_a_page_that_shows_what_was_not_printed_fails() -> None:
    block = Block("console", True, "$ narrower x\n│ 3 rows │\n│ 4 columns │\n", 1)
    (command,) = commands(block)
    compare(command, "│ 9 rows │\n│ 1 columns │", "", numbers_vary=True)
    for printed in ("9 rows", "9 rows\n1 column", "9 rows\n1 columns\nmore"):
        with pytest.raises(AssertionError):
            compare(command, printed, "", numbers_vary=True)
    with pytest.raises(AssertionError):
        compare(Command("narrower x", ("3 rows",)), "4 rows", "", numbers_vary=False)
