"""The other commands, exit codes, and that nothing heavy is imported for a word of help."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower
from tests.docs.console import ROOT

HEAVY = "torch optuna lightning scipy sklearn pydantic onnxruntime"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from narrower.cli.main import run; import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): run(['--help'])\n"
        f"print([m for m in '{HEAVY}'.split() if m in sys.modules and m != 'pydantic'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing_heavy_and_names_load_on_use() -> None:
    code = (
        "import sys, narrower; before = [m for m in 'torch optuna'.split() if m in sys.modules]\n"
        "narrower.Plan; after = 'torch' in sys.modules\n"
        "print(before, after, sorted(narrower.__all__) == dir(narrower))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False True"


@pytest.mark.parametrize("command", ["models", "datasets", "samplers", "metrics"])
def test_lists_have_names_and_descriptions(run_narrower: RunNarrower, command: str) -> None:
    code, out, _ = run_narrower(command, "--json")
    rows = json.loads(out)
    assert code == 0
    assert all(row["name"] and row["description"] for row in rows)
    code, table, _ = run_narrower(command)
    assert all(row["name"] in table for row in rows)


def test_profile_by_the_chop_convention(run_narrower: RunNarrower) -> None:
    code, out, _ = run_narrower(
        "profile", "jsc-tiny", "jets", "--batch-size", "8", "--convention", "chop", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert (found["flops"], found["bitops"], found["model_size_bytes"]) == (1320, 42240, 468)


def test_profile_with_latency_names_threads_and_quartiles(run_narrower: RunNarrower) -> None:
    code, out, _ = run_narrower("profile", "jsc-toy", "jets", "--batch-size", "64", "--latency", "--json")
    assert code == 0
    rows = json.loads(out)["latency"]
    assert {(row["runtime"], row["batch_size"]) for row in rows} == {
        ("PyTorch eager", 1),
        ("PyTorch eager", 64),
        ("ONNX Runtime", 1),
        ("ONNX Runtime", 64),
    }
    for row in rows:
        assert 0 < row["lower_quartile_us"] <= row["median_us"] <= row["upper_quartile_us"] <= row["p99_us"]
        assert row["threads"] == 1


def test_train_then_test(run_narrower: RunNarrower) -> None:
    code, out, _ = run_narrower("train", "digits-mlp", "digits", "--max-epochs", "2", "--json")
    assert code == 0
    trained = json.loads(out)
    code, out, _ = run_narrower(
        "test", "digits-mlp", "digits", "--load", trained["best_checkpoint"], "--json"
    )
    assert code == 0
    assert json.loads(out)["parts"]["test"]["accuracy"] == trained["test_accuracy"]


SEARCH = ("search", "--model", "jsc-toy", "--dataset", "jets")
MISTAKES = [
    (("train", "jsc-toi", "jets"), "did you mean 'jsc-toy'"),
    (("train", "jsc-toy", "jet"), "did you mean 'jets'"),
    (("train", "resnet20", "jets"), "does not run on data set"),
    (("train", "nowhere:model", "jets"), "nowhere"),
    (("test", "jsc-toy", "jets", "--load", "none.ckpt"), "no such file"),
    (("search",), "--config"),
    (("search", "--config", "none.toml"), "none.toml"),
    (("search", "--resume", "runs/none"), "no such run"),
    (("show", "runs/none"), "no such run"),
    (("pick", "runs/none", "--knee"), "no such run"),
    (("transform", "--config", "none.toml"), "none.toml"),
    (("profile", "jsc-toy", "jets", "--convention", "mase"), "chop"),
    (("serch",), "Did you mean 'search'?"),
    (("train", "jsc-toy", "jets", "--max-epochs", "0"), "--max-epochs"),
    ((*SEARCH, "--objective", "accuracy", "--objective", "accuracy=minimize"), "given twice"),
    ((*SEARCH, "--constraint", "bitops<=1855"), "no plan meets: the plans of this space have 1856 to 14848"),
    ((*SEARCH, "--objective", "math:floor=maximize"), "is called as function(outputs, targets)"),
    (("train", "jsc-toy", "jets", "--accelerator", "tpu"), "allowed here: cpu"),
    (("search", "--model", "jsc-toy", "--dataset", "digits"), "does not run on data set"),
    (("search", "--model", "jsc-toy"), "--dataset"),
    (("search", "--model", "jsc-toy", "--dataset", "jets", "--weight-widths", "2,x"), "'x'"),
    (("search", "--model", "jsc-toy", "--dataset", "jets", "--objective", "acuracy"), "accuracy"),
    (("search", "--model", "jsc-toy", "--dataset", "jets", "--constraint", "bitops"), "bitops<=5000"),
    ((*SEARCH, "--constraint", "bitops<=5000", "--constraint", "bitops <= 4000"), "two bounds with <="),
    ((*SEARCH, "--constraint", "accuracy>=0.5", "--constraint", "accuracy>=0.5"), "two bounds with >="),
    ((*SEARCH, "--constraint", "bitops<=nan"), "'bitops<=nan'"),
    ((*SEARCH, "--fraction", "9" * 5000), "999"),
    ((*SEARCH, "--timeout", "nan"), "--timeout"),
    ((*SEARCH, "--seed", "1e30"), "--seed"),
    ((*SEARCH, "--samples", "-1"), "--samples"),
    (("train", "jsc-toy", "jets", "--learning-rate", "nan"), "--learning-rate"),
    (("train", "jsc-toy", "jets", "--batch-size", "9" * 30), "--batch-size"),
    (("pick", "runs/none", "--accuracy-drop", "inf"), "--accuracy-drop"),
    (("search", "--model", "jsc-toy", "--dataset", "jets", "--sampler", "tpe"), "n_trials is missing"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_mistakes_end_with_2_and_one_message_and_write_nothing(
    run_narrower: RunNarrower, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = run_narrower(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""
    assert list(Path().iterdir()) == []


def test_check_counts_prices_and_writes_nothing(run_narrower: RunNarrower) -> None:
    config = settings_file(Path("a.toml"), samples=64)
    text = config.read_text(encoding="utf-8") + "\n[search.strategy.constraints]\nbitops.max = 5000\n"
    config.write_text(text, encoding="utf-8")
    code, out, _ = run_narrower("check", config, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["space_size"] == 5832
    by_hand = sum(
        9
        * 3  # bias widths of three layers cost no bit operations
        * (128 * a * b + 64 * c * d + 40 * e * f > 5000)
        for a in (4, 8)
        for b in (2, 4, 8)
        for c in (4, 8)
        for d in (2, 4, 8)
        for e in (4, 8)
        for f in (2, 4, 8)
    )
    assert found["cut"] == {"bitops above 5000": by_hand}
    assert found["ranges"]["bitops"] == [232 * 8, 232 * 64]
    assert found["seconds"] > 0
    assert [path.name for path in Path().iterdir()] == ["a.toml"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed.seq_blocks_5", 'seed."seq_blocks.2"', "named twice"),
        ('project = "toy"', 'data_path = "none.h5"', "data_path: a local file goes with"),
        ("num_samples = 256", "num_samples = 99999", "8800 samples"),
        ('model = "jsc-toy"', 'model = "my.module:model"', "my.module"),
        ('dataset = "jets"', 'dataset = "digits"', "model: "),
        (
            '[search.search_space.setup]\nby = "name"',
            '[search.search_space.setup]\nby = "regex"',
            "matches no layer",
        ),
    ],
)
def test_mistakes_that_show_only_with_the_model_name_file_and_line(
    run_narrower: RunNarrower, old: str, new: str, said: str
) -> None:
    config = settings_file(Path("a.toml"))
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    for command in (("check", "a.toml"), ("search", "--config", "a.toml")):
        code, _, err = run_narrower(*command)
        assert code == 2
        assert any(line.startswith("error: a.toml:") for line in err.splitlines())
        assert said in err
        assert "Traceback" not in err
    assert not Path("runs").exists()


def test_a_mistake_in_a_layer_is_found_on_its_line_in_either_spelling(run_narrower: RunNarrower) -> None:
    config = settings_file(Path("a.toml"))
    lines = config.read_text(encoding="utf-8").splitlines()
    table = lines.index("[search.search_space.seed.seq_blocks_5.config]")
    del lines[lines.index("bias_width = [2, 4, 8]", table)]
    config.write_text("\n".join(lines), encoding="utf-8")
    _, _, err = run_narrower("check", "a.toml")
    assert err.startswith(
        f"error: a.toml:{table + 1}: search.search_space.seed.seq_blocks.5.config.bias_width"
    )


def test_a_pickled_graph_is_refused_by_its_line_and_not_needed_where_other_weights_are_given(
    run_narrower: RunNarrower, trained: Path
) -> None:
    config = settings_file(Path("a.toml"), samples=64)
    config.write_text(
        'load_name = "graph.mz"\nload_type = "mz"\n' + config.read_text(encoding="utf-8"), encoding="utf-8"
    )
    for command in (("check", "a.toml"), ("search", "--config", "a.toml")):
        code, out, err = run_narrower(*command)
        assert (code, out) == (2, "")
        assert err.startswith("error: a.toml:2: load_type: found 'mz'")
        assert "torch.save(model.state_dict(), 'weights.pt')" in err
    assert run_narrower("check", "a.toml", "--load", trained)[0] == 0


def test_the_version_is_that_of_the_package(run_narrower: RunNarrower) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run_narrower("--version") == (0, f"narrower {declared}\n", "")
