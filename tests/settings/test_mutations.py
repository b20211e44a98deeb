"""Settings mutated at random: the answer is valid, or one short message."""

import random
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from torch import Tensor, nn

from narrower.cli.main import run
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.program import Program
from narrower.study import data, pose
from narrower.tasks.quality import Quality
from tests.cli import wild_files
from tests.settings.test_load import VALID

VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 4, 33, 64, 10**6, 2**40, -(2**63), 0.5, -0.0, 1e300, float("nan"), float("inf")),
    *(
        "",
        " ",
        "NA",
        "auto",
        "4",
        "tpe",
        "TPE",
        "jets",
        "name",
        "seq_blocks_2",
        "ünïcode \U0001f600",
        "a" * 400,
    ),
    *("a:b", "os:system", "../..", "\x00", "[4", "%s", "{}"),
    *(True, False, [], {}, [[]], [4], ["NA"], [4, "NA"], [4, 4], [None][:0], ["integer", "NA"], [1.5], [{}]),
    *({"scale": 1.0}, {"config": {}}, {"config": {"name": ["NA"]}}, {"direction": "maximize"}),
)


def paths(table: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in table.items():
        found.append((*at, key))
        if isinstance(value, dict):
            found += paths(value, (*at, key))
    return found


def mutate(table: dict[str, Any], chance: random.Random) -> None:
    path = chance.choice(paths(table))
    holder: Any = table
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    match chance.randrange(7):
        case 0:
            del holder[key]
        case 1:
            letters = list(key)
            letters[chance.randrange(len(letters))] = chance.choice("abcxyz_.-")
            holder["".join(letters)] = holder.pop(key)
        case 2:
            other = chance.choice(paths(table))
            moved: Any = table
            for part in other:
                moved = moved[part]
            holder[key] = tomllib.loads(tomli_w.dumps({"x": moved}))["x"]
        case 3:
            holder[key] = [holder[key]] if not isinstance(holder[key], list) else holder[key][0:1]
        case 4:
            holder[key + chance.choice(("s", "_", "x"))] = chance.choice(VALUES)
        case _:
            holder[key] = chance.choice(VALUES)


def traced_once(trace: Callable[..., Program]) -> Callable[..., Program]:
    """The program of a model by its name and the shape of its samples: all are untrained, of one seed."""
    known: dict[object, Program] = {}

    def traced(model: nn.Module, inputs: tuple[Tensor, ...], name: str) -> Program:
        key = (name, *(each.shape[1:] for each in inputs), str(model))
        if key not in known:
            known[key] = trace(model, inputs, name)
        return known[key]

    return traced


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate of the time is the only slow part of a check and not what is tested here."""
    monkeypatch.setattr(
        Evaluator, "evaluate", lambda _self, plans, **_: [Quality(2, {"accuracy": 0.5})] * len(plans)
    )
    monkeypatch.setattr(pose, "trace_or_call", traced_once(pose.trace_or_call))
    monkeypatch.setattr(pose, "load_data_set", cache(pose.load_data_set))
    monkeypatch.setattr(data, "load_data_set", cache(data.load_data_set))


def check_mutations(count: int, seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    without_waiting(monkeypatch)
    chance = random.Random(seed)
    path = Path("mutated.toml")
    codes = set()
    for number in range(count):
        table = tomllib.loads(VALID)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            if paths(table):
                mutate(table, chance)
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
        code = run(["check", "mutated.toml"])
        out, err = capfd.readouterr()
        codes.add(code)
        assert code in (0, 2), (number, err, path.read_text(encoding="utf-8"))
        assert "Traceback" not in err
        if code == 2:
            assert out == ""
            notes = ("note: imports your module",)  # of a data set's name that became a:b
            first, *others = [line for line in err.splitlines() if not line.startswith(notes)]
            assert first.startswith("error: mutated.toml"), err
            assert all(line.startswith("  mutated.toml") for line in others), err
            assert len(err) < 600 * max(1, len(others)) + 900, err
        else:
            assert "plans" in out
    assert codes == {0, 2}
    assert [entry.name for entry in Path().iterdir()] == ["mutated.toml"]


WILD = {kind: build for kind, (build, _) in wild_files.RUN.items() if kind not in ("vgg7", "jsc from a file")}


def misspell(table: dict[str, Any], chance: random.Random) -> str:
    """Change one letter of a key to one that no key has; returns what is written then."""
    path = chance.choice(paths(table))
    holder: Any = table
    for key in path[:-1]:
        holder = holder[key]
    place = chance.randrange(len(path[-1]))
    written = path[-1][:place] + "ß" + path[-1][place + 1 :]
    items = [(written if key == path[-1] else key, value) for key, value in holder.items()]
    holder.clear()
    holder.update(items)
    return written


def check_wild_mutations(count: int, seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """A file with warnings may have an error as well; no misspelling goes without a word."""
    without_waiting(monkeypatch)
    chance = random.Random(seed)
    path = Path("mutated.toml")
    for number in range(count):
        table = chance.choice(list(WILD.values()))()
        written = misspell(table, chance) if number % 2 else ""
        if not written:
            mutate(table, chance)
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
        code = run(["check", "mutated.toml"])
        _, err = capfd.readouterr()
        assert code in (0, 2), (number, err, path.read_text(encoding="utf-8"))
        assert err.count("error: ") == (1 if code == 2 else 0), err
        assert "Traceback" not in err
        assert written in err, path.read_text(encoding="utf-8")
    assert [entry.name for entry in Path().iterdir()] == ["mutated.toml"]


@pytest.mark.parametrize("seed", range(2))
def test_mutations_of_files_as_people_write_them(
    seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    check_wild_mutations(60, seed, monkeypatch, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 204))
def test_many_mutations_of_files_as_people_write_them(
    seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    check_wild_mutations(600, seed, monkeypatch, capfd)


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed > 0)) for seed in range(4)]
)
def test_five_hundred_mutations(seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    check_mutations(500, seed, monkeypatch, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_twenty_thousand_mutations(seed: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    check_mutations(2000, seed, monkeypatch, capfd)
