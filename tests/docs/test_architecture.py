"""ARCHITECTURE.md speaks of the code as it is: its files are there, its order is the one that is checked."""

import re
import tomllib

from tests.docs.console import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "narrower"


def packages() -> set[str]:
    return {path.parent.name for path in SOURCE.glob("*/__init__.py")}


def test_every_file_and_folder_that_it_names_is_there() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", PAGE)
    assert len(named) > 20
    roots = [SOURCE, ROOT, *(SOURCE / package for package in packages())]
    missing = [name for name in named if not any((root / name).exists() for root in roots)]
    assert missing == []


def test_the_order_of_packages_is_that_of_the_linter() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    checked = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    (said,) = re.findall(r"^    cli > .*\n(?:    +.*\n)*", PAGE, re.MULTILINE)
    order = [[name.strip() for name in layer.split(",")] for layer in said.split(">")]
    assert [["__main__"], *order] == checked


def test_every_package_has_a_row() -> None:
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert packages() <= listed
