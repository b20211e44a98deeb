"""Settings files whose text was damaged: each is read, or refused with a message that says where."""

import random
from functools import cache
from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.settings.layers import read_layers
from narrower.settings.load import located
from narrower.study import data, pose
from narrower.study.read import read_settings
from tests.settings.test_load import VALID
from tests.settings.test_mutations import traced_once

HUGE = "0x" + "f" * 5000
DEEP = "[" * 60 + "]" * 60
VALUES = (
    *("1e400", "-1e400", "1" + "0" * 30, "9" * 400, HUGE, "1" * 5000, "inf", "nan", "-1", "0", "1e-400"),
    *('""', '"\\u0000"', '"a\\nb"', '"ü"', '"a:"', '":"', '"' + "x" * 3000 + '"', '"tpe "', '"NA"'),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "true", "{}", "{a = 1}"),
    *("[]", "[[]]", "[{}]", "[inf]", "[nan, nan]", f"[{HUGE}]", "[true, true]", DEEP),
)
KEYS = (
    *(
        '"a=b"',
        '"a.b"',
        '""',
        '"x y"',
        "'lit'",
        '"q\\"r"',
        "a.b.c",
        '"\\n"',
        '"ü"',
        "__class__",
        '"[z]"',
        '"#"',
    ),
    ".".join("a" * 400),
)


def damaged(chance: random.Random) -> str:
    lines = VALID.strip().splitlines()
    for _ in range(chance.choice((1, 1, 2, 3))):
        number = chance.randrange(len(lines))
        line, key = lines[number], chance.choice(KEYS)
        name, is_assignment, value = line.partition("=")
        lines[number] = chance.choice(
            (
                f"{name}= {chance.choice(VALUES)}" if is_assignment else f"[{line}]",
                f"{name}= {chance.choice(VALUES)}" if is_assignment else f"{line.rstrip(']')}.{key}]",
                f"{name.rstrip()}.{key} ={value}" if is_assignment else f"{key} = {chance.choice(VALUES)}",
                f"{line}\n{key} = {chance.choice(VALUES)}",
                "",
                line[:-1],
            )
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_is_read_or_refused_with_its_place(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose, "trace_or_call", traced_once(pose.trace_or_call))
    for module in (pose, data):
        monkeypatch.setattr(module, "load_data_set", cache(module.load_data_set))
    chance, path = random.Random(seed), Path("damaged.toml")
    refused: list[str] = []
    for _ in range(150):
        path.write_text(damaged(chance), encoding="utf-8")
        try:
            settings = read_settings(path).settings
            with located(read_layers(path)):
                pose.pose(settings)
        except SettingsError as error:
            refused.append(str(error))
    assert 75 < len(refused) < 150
    for message in refused:
        assert message.startswith("damaged.toml")
        assert len(message) < 20_000
