"""What a page of the documentation says: its commands with their output, and its Python."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<kind>\w+)(?P<note>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "…"
LINES_OF_TABLES = re.compile(r"[\s━┏┓┗┛┡┩┳┻╇┃│└┘┴┬─]+")
NUMBER = re.compile(r"\d[\d,.]*(e-?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block: ``console numbers-vary``, ``python``, ...; ``line`` is where it begins."""

    kind: str
    numbers_vary: bool
    body: str
    line: int


@dataclass(frozen=True)
class Command:
    """A command as it is typed after ``$``, and what the page shows below it."""

    typed: str
    shown: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            match["kind"],
            "numbers-vary" in match["note"],
            match["body"],
            text.count("\n", 0, match.start()) + 1,
        )
        for match in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    """The commands of a console block; one that ends in a backslash goes on in the next line."""
    found = []
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        typed, _, shown = part.replace("\\\n", " ").partition("\n")
        found.append(Command(" ".join(typed.split()), tuple(line for line in shown.splitlines() if line)))
    return found


def compare(command: Command, out: str, err: str, numbers_vary: bool) -> None:
    """Fail unless every line that the page shows was printed.

    What goes to stdout must be shown in full, unless a line ``…`` says that something was left out. Where
    numbers vary, so does the number of rows in a table.
    """
    bare = _without_numbers if numbers_vary else _bare
    shown = [bare(line) for line in command.shown if line.strip() != LEFT_OUT]
    printed = [bare(line) for line in out.splitlines()]
    for line in shown:
        assert line in [*printed, *map(bare, err.splitlines())], (
            f"$ {command.typed}\nshown, but not printed: {line}\n{out}{err}"
        )
    if not any(line.strip() == LEFT_OUT for line in command.shown):
        hidden = [line for line in printed if line and line not in shown]
        assert not hidden, f"$ {command.typed}\nprinted, but not shown: {hidden}"


def fast(config: Path, trials: int | None) -> str:
    """A settings file with little training and few samples, and at most so many trials."""
    table: dict[str, Any] = tomllib.loads(config.read_text(encoding="utf-8"))
    table["max_epochs"] = 1
    strategy = table["search"]["strategy"]
    strategy.setdefault("sw_runner", {}).setdefault("basic_evaluation", {})["num_samples"] = 64
    if strategy["setup"]["sampler"] == "learned":
        strategy["training"]["n_epochs"] = 8
    elif trials is not None:
        strategy["setup"]["n_trials"] = min(trials, strategy["setup"].get("n_trials", trials))
    return tomli_w.dumps(table)


def _bare(line: str) -> str:
    return LINES_OF_TABLES.sub(" ", line).strip()


def _without_numbers(line: str) -> str:
    return re.sub(r"\b(certain|possible)\b", "certain", NUMBER.sub("#", _bare(line)))
