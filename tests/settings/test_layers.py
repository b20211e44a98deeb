"""Settings from several places: what holds, and where it is said to stand."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrower.errors import SettingsError, SeveralMistakesError
from narrower.settings.layers import OPTIONS, Layer, Layers, read_layers
from narrower.settings.load import draft_of, load_settings, located
from narrower.settings.origins import origins, text_with_origins
from narrower.study.read import read_settings
from tests.settings.test_load import VALID

KEYS = st.sampled_from(["a", "b", "c"])
SMALL = st.dictionaries(KEYS, st.integers(0, 9), max_size=2)
TABLES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(KEYS, st.integers(0, 9) | SMALL, max_size=3)


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def leaves(tables: dict[str, Any], at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in tables.items():
        found |= leaves(value, (*at, key)) if isinstance(value, dict) and value else {(*at, key): value}
    return found


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TABLES, max_size=3))
def test_the_last_layer_that_holds_a_key_says_what_it_is(tables: list[dict[str, Any]]) -> None:
    merged = Layers("x", tuple(Layer(str(n), each, "", has_lines=False) for n, each in enumerate(tables)))
    for key, value in leaves(merged.tables()).items():
        holders = [leaves(each) for each in tables]
        assert [held[key] for held in holders if key in held][-1:] == [value]
        assert merged.origin(key) is not None
    for key in leaves(tables[-1]) if tables else ():
        assert merged.origin(key) == str(len(tables) - 1)


def test_a_file_says_only_what_differs_from_those_that_it_extends() -> None:
    written("base.toml", VALID)
    written("more/seed.toml", "seed = 4\nmax_epochs = 3")
    path = written("run.toml", 'extends = ["base.toml", "more/seed.toml"]\nmax_epochs = 7\n')
    alone, extended = load_settings(Path("base.toml")).settings, load_settings(path).settings
    assert extended == alone.model_copy(update={"seed": 4, "max_epochs": 7})


def test_a_file_can_extend_one_that_extends_another_from_its_own_folder() -> None:
    written("base.toml", VALID)
    written("below/middle.toml", 'extends = "../base.toml"\nseed = 4')
    assert load_settings(written("run.toml", 'extends = "below/middle.toml"')).settings.seed == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "run.toml"', "run.toml: extends: run.toml extends this file as well; allowed: no circle"),
        ('seed = 3\nextends = "none.toml"', "run.toml:2: extends: there is no file none.toml"),
        (
            "extends = 3",
            "run.toml:1: extends: found 3; allowed: a file such as 'base.toml', or a list of them",
        ),
        ('extends = [""]', "run.toml:1: extends: found ['']; allowed: a file such as"),
        ('extends = "broken.toml"', "broken.toml: not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_extended_is_named(text: str, said: str) -> None:
    written("broken.toml", "x = ")
    with pytest.raises(SettingsError) as caught:
        read_layers(written("run.toml", text))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("model=jsc-toy", ("model",), "jsc-toy"),
        ("model = 'jsc-toy'", ("model",), "jsc-toy"),
        ('a."seq.0".weight_width=[2, 4]', ("a", "seq.0", "weight_width"), [2, 4]),
        ("dataset=C:\\data", ("dataset",), "C:\\data"),
        ("class_order=g,q", ("class_order",), "g,q"),
        ("project=", ("project",), ""),
    ],
)
def test_set_reads_values_as_toml_does_and_words_without_quotes(
    text: str, key: tuple[str, ...], value: object
) -> None:
    tables = read_layers(written("run.toml", ""), settings=[text]).tables()
    assert leaves(tables) == {key: value}


@pytest.mark.parametrize("text", ["seed", "=3", "a b=3", "a=1\nb=2", "", "a..b=1"])
def test_set_refuses_what_is_no_value_of_a_key(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--set: found .*; allowed: KEY=VALUE"):
        read_layers(written("run.toml", ""), settings=[text])


def test_mistakes_stand_where_the_wrong_value_was_given() -> None:
    written("base.toml", VALID + "\n[training]\nmax_epochs = 0\n")
    path = written("run.toml", 'extends = "base.toml"\n\n[search.strategy.setup]\nn_trials = 0\n')
    over = written("over.toml", "\nbatch_size = 1\n")
    draft = draft_of(read_layers(path, [over], ["seed=-1"]))
    places = [mistake.split(": ")[:2] for mistake in draft.mistakes]
    line = VALID.count("\n") + 3
    assert places == [
        [f"base.toml:{line}", "training.max_epochs"],
        ["run.toml:4", "search.strategy.setup.n_trials"],
        ["over.toml:2", "batch_size"],
        ["--set", "seed"],
    ]


def test_what_a_later_step_refuses_stands_where_it_is_spelled_like_that() -> None:
    written("base.toml", VALID)
    path = written("run.toml", 'extends = "base.toml"\n')
    layers = read_layers(path, settings=["search.strategy.setup.n_trials=3"])
    wrong = {
        "search.search_space.seed.seq.blocks.2.config.weight_width": f"base.toml:{line_of('weight_width')}",
        "search.strategy.setup.n_trials": "--set",
        "search.strategy.backend.address": f"base.toml:{line_of('[search.strategy]')}",
        "training": "run.toml",
    }
    with pytest.raises(SettingsError) as caught, located(layers):
        raise SeveralMistakesError(f"{key}: wrong" for key in wrong)
    lines = str(caught.value).splitlines()[1:]
    assert sorted(lines) == sorted(f"  {place}: {key}: wrong" for key, place in wrong.items())


def line_of(start: str) -> int:
    return next(n for n, line in enumerate(VALID.splitlines(), start=1) if line.startswith(start))


def test_options_have_no_place_but_their_name() -> None:
    assert OPTIONS.place(("seed",)) == OPTIONS.place_of_text("seed") == "options"


def test_every_value_is_shown_with_its_origin_and_reads_back() -> None:
    written("base.toml", VALID)
    path = written("run.toml", 'extends = "base.toml"\nmax_epochs = 7\n')
    loaded = read_settings(read_layers(path, settings=["seed=5"]))
    shown = {".".join(key): (value, origin) for key, value, origin in origins(loaded)}
    assert shown["seed"] == (5, "--set")
    assert shown["max_epochs"] == (7, "run.toml:2")
    assert shown["search.search_space.setup.sign"] == ("signed", "default")
    assert shown["model"] == ("jsc-toy", f"base.toml:{line_of('model')}")
    again = written("again.toml", text_with_origins(loaded))
    assert load_settings(again).settings == loaded.settings
    assert tomllib.loads(again.read_text(encoding="utf-8"))["seed"] == 5
