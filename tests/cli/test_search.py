"""The command ``search`` from file to front, and what reads its run."""

import itertools
import json
import tomllib
from pathlib import Path

import pytest
import torch

import narrower
from narrower.data.datasets import DataSet
from narrower.settings.load import load_settings
from narrower.store.trials import TrialStore
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

FEW = {"layers": ("seq_blocks_5",), "biases": "[8]"}  # 6 plans


def test_without_a_checkpoint_the_model_is_trained_first_and_that_is_said(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("search", "--config", settings_file(Path("a.toml"), **FEW))
    assert code == 0
    assert "no checkpoint: training jsc-toy on jets first (1 epochs, batch size 256" in err
    assert "complete: 6 of 6" in err
    assert "software_metrics" in out
    assert "hardware_metrics" in out
    assert "scaled_metrics" in out
    run = Path("runs/toy")
    for name in ("settings.toml", "trials.db", "front.json", "log.txt", "checkpoints/best.ckpt"):
        assert (run / name).is_file()
    again, _, err = run_narrower(
        "search", "--config", run / "settings.toml", "--load", run / "checkpoints/best.ckpt"
    )
    assert again == 0
    assert "training" not in err
    fronts = [json.loads(Path(f"runs/{name}/front.json").read_text()) for name in ("toy", "toy-2")]
    assert fronts[0]["members"] == fronts[1]["members"]


def test_no_train_refuses_before_anything_is_written(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--no-train", "--config", settings_file(Path("a.toml"), **FEW))
    assert code == 2
    assert "--load" in err
    assert not Path("runs").exists()


def test_json_goes_to_stdout_and_everything_else_to_stderr(run_narrower: RunNarrower, trained: Path) -> None:
    config = settings_file(Path("a.toml"), **FEW)
    code, out, err = run_narrower("search", "--config", config, "--load", trained, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["completeness"] == "complete: 6 of 6"
    assert "weights:" in err
    code, out, _ = run_narrower("show", "runs/toy", "--json")
    shown = json.loads(out)
    assert shown["members"] == found["members"]
    code, out, _ = run_narrower("runs", "--json")
    assert [row["run"] for row in json.loads(out)] == ["runs/toy"]
    for member in found["members"]:
        low, high = member["accuracy_interval"]
        assert low < member["metrics"]["accuracy"] < high
        assert 0 < member["test_accuracy"] < 1


def test_options_take_the_place_of_what_the_file_says(run_narrower: RunNarrower, trained: Path) -> None:
    config = settings_file(Path("a.toml"), layers=("seq_blocks_5",))
    options = ["--sampler", "random", "--trials", "5", "--samples", "99", "--seed", "8", "--project", "mine"]
    code, _, err = run_narrower("search", "--config", config, "--load", trained, *options)
    assert code == 0, err
    assert "random: 5 of 18" in err
    assert "scored on 99 samples" in err
    used, written = (load_settings(path).settings for path in (Path("runs/mine/settings.toml"), config))
    assert (used.seed, used.project, used.search.strategy.setup.n_trials) == (8, "mine", 5)
    assert used.search.search_space == written.search.search_space
    assert used.search.strategy.metrics == written.search.strategy.metrics


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--config", "a.toml", "--weight-widths", "2,4"), "--weight-widths: go with --model"),
        (("--config", "a.toml", "--objective", "bitops", "--dataset", "jets"), "--dataset, --objective"),
        (("--config", "a.toml", "--sampler", "tpee"), "tpe"),
        (("--config", "a.toml", "--sampler", "tpe"), "n_trials is missing"),
        (("--resume", "runs/toy", "--trials", "9"), "--trials: go with a new search"),
        (("--resume", "runs/toy", "--layers", "x"), "--layers: go with --model"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(
    run_narrower: RunNarrower, trained: Path, options: tuple[str, ...], said: str
) -> None:
    config = settings_file(Path("a.toml"), **FEW)
    assert run_narrower("search", "--config", config, "--load", trained)[0] == 0
    before = sorted(Path("runs").rglob("*"))
    code, _, err = run_narrower("search", *options)
    assert code == 2
    assert said in err
    assert sorted(Path("runs").rglob("*")) == before


def test_a_width_that_no_objective_sees_is_named(run_narrower: RunNarrower, trained: Path) -> None:
    config = settings_file(Path("a.toml"), layers=("seq_blocks_5",))
    _, _, err = run_narrower("search", "--config", config, "--load", trained)
    assert "bias_width is searched in 1 layers, but no objective" in err
    assert "data_in_width is searched" in err
    assert "weight_width is searched" not in err


def test_scaled_sum_is_one_objective(run_narrower: RunNarrower, trained: Path) -> None:
    config = settings_file(Path("a.toml"), **FEW, setup='sum_scaled_metrics = true\ndirection = "maximize"')
    code, out, _ = run_narrower("search", "--config", config, "--load", trained, "--json")
    assert code == 0
    (best,) = json.loads(out)["members"]
    _, out, _ = run_narrower(
        "search", "--config", settings_file(Path("b.toml"), **FEW), "--load", trained, "--json"
    )
    members = json.loads(out)["members"]
    scores = [m["metrics"]["accuracy"] - 0.2 * m["metrics"]["average_bitwidth"] for m in members]
    assert best["metrics"]["accuracy"] - 0.2 * best["metrics"]["average_bitwidth"] == pytest.approx(
        max(scores)
    )


def test_the_chop_convention_leaves_out_layers_without_a_format(
    run_narrower: RunNarrower, trained: Path
) -> None:
    config = settings_file(Path("a.toml"), **FEW)
    text = config.read_text(encoding="utf-8")
    table = '\n[search.strategy.hw_runner.average_bitwidth]\nconvention = "chop"\n'
    config.write_text(text + table, encoding="utf-8")
    _, out, _ = run_narrower("search", "--config", config, "--load", trained, "--json")
    averages = {member["metrics"]["average_bitwidth"] for member in json.loads(out)["members"]}
    assert averages <= {2, 4, 8}


def test_a_failing_metric_is_recorded_and_all_failed_ends_with_1(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_metrics.py").write_text(
        "import torch\n"
        "def background_rejection(outputs, targets):\n"
        "    assert outputs.shape == (256, 5) and targets.shape == (256,)\n"
        "    scores = outputs.softmax(dim=1)[:, 2]\n"
        "    cut = scores[targets == 2].quantile(0.5)\n"
        "    return 1 / max(1e-3, float((scores[targets != 2] > cut).float().mean()))\n"
        "calls = []\n"
        "def sometimes(outputs, targets):\n"
        "    calls.append(0)\n"
        "    if len(calls) % 2: raise ValueError('no luck')\n"
        "    return 0.5\n"
        "def never(outputs, targets):\n"
        "    return float('nan')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def config(function: str) -> Path:
        path = settings_file(Path(f"{function}.toml"), **FEW)
        metric = f'"my_metrics:{function}".direction = "maximize"'
        text = path.read_text(encoding="utf-8").replace("accuracy.scale = 1.0", metric)
        path.write_text(text.replace('accuracy.direction = "maximize"', ""), encoding="utf-8")
        return path

    code, out, _ = run_narrower(
        "search", "--config", config("background_rejection"), "--load", trained, "--json"
    )
    assert code == 0
    assert json.loads(out)["members"][0]["metrics"]["my_metrics:background_rejection"] > 1
    code, out, _ = run_narrower("search", "--config", config("sometimes"), "--load", trained, "--json")
    assert code == 0
    assert json.loads(out)["summary"]["failed"] == 3
    assert "no luck" in json.loads(out)["summary"]["first_failure"]
    code, _, err = run_narrower("search", "--config", config("never"), "--load", trained)
    assert code == 1
    assert "all 6 trials failed" in err
    assert "nan" in err


def test_two_bounds_on_one_metric_are_an_interval(run_narrower: RunNarrower, trained: Path) -> None:
    bounds = ("--constraint", "bitops<=9000", "--constraint", "bitops>=6000")
    options = ("--weight-widths", "4,8", "--samples", "256", "--load", trained, "--json")
    code, out, _ = run_narrower("search", "--model", "jsc-toy", "--dataset", "jets", *options, *bounds)
    assert code == 0
    found = json.loads(out)
    assert found["constraints"] == [{"metric": "bitops", "minimum": 6000, "maximum": 9000}]
    with TrialStore.open(Path(found["run"]) / "trials.db", read_only=True) as store:
        tried = [trial.metrics["bitops"] for trial in store.trials()]
    # by hand: products 128, 64, 40 of three layers, each at 4 or 8 bits of data and of weights
    sizes = [
        128 * a * b + 64 * c * d + 40 * e * f for a, b, c, d, e, f in itertools.product((4, 8), repeat=6)
    ]
    assert sorted(tried) == sorted(size for size in sizes if 6000 <= size <= 9000)


def test_a_resumed_search_repeats_why_trials_failed_and_names_other_versions(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flaky.py").write_text(
        "calls = []\n"
        "def metric(outputs, targets):\n"
        "    calls.append(0)\n"
        "    if 3 <= len(calls) < 6: raise RuntimeError('made up: out of memory')\n"
        "    return float((outputs.argmax(1) == targets).float().mean())\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ("--objective", "flaky:metric=maximize", "--objective", "bitops", "--data-widths", "8")
    search = ("--model", "jsc-toy", "--dataset", "jets", "--samples", "256", "--project", "flaky")
    code, _, first = run_narrower("search", *search, *options, "--load", trained)
    assert code == 0
    said = "failed: 3 trials; the first: "
    reason = next(line for line in first.splitlines() if line.startswith(said))
    assert "made up: out of memory" in reason
    code, _, again = run_narrower("search", "--resume", "runs/flaky")
    assert code == 0
    assert reason in again
    assert "warning" not in again.replace(first, "")
    with TrialStore.open(Path("runs/flaky/trials.db")) as store:
        environment = store.facts()["environment"]
        assert isinstance(environment, dict)
        store.set_fact("environment", environment | {"versions": environment["versions"] | {"torch": "1.0"}})
    code, _, again = run_narrower("search", "--resume", "runs/flaky")
    assert code == 0
    assert "warning: not with the versions that the run began with: torch 1.0 -> " in again


def test_eval_mode_false_trains_each_candidate_first(run_narrower: RunNarrower, trained: Path) -> None:
    kept = settings_file(Path("a.toml"), layers=("seq_blocks_5",), biases="[8]", weights="[2]")
    _, out, _ = run_narrower("search", "--config", kept, "--load", trained, "--json")
    before = max(m["metrics"]["accuracy"] for m in json.loads(out)["members"])
    text = kept.read_text(encoding="utf-8") + "\n[search.strategy]\neval_mode = false\n"
    Path("b.toml").write_text(text, encoding="utf-8")
    code, out, _ = run_narrower("search", "--config", "b.toml", "--load", trained, "--json")
    assert code == 0
    after = max(m["metrics"]["accuracy"] for m in json.loads(out)["members"])
    assert after > before  # two-bit weights recover when they are trained


def test_pick_and_transform_give_a_model_that_loads_with_one_call(
    run_narrower: RunNarrower, trained: Path, jets: DataSet
) -> None:
    run_narrower("search", "--config", settings_file(Path("a.toml")), "--load", trained)
    code, out, _ = run_narrower("pick", "runs/toy", "--max", "average_bitwidth=6")
    assert code == 0
    Path("picked.toml").write_text(out, encoding="utf-8")
    record = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))
    within = [m for m in record["members"] if m["metrics"]["average_bitwidth"] <= 6]
    best = max(within, key=lambda m: m["metrics"]["accuracy"])
    assert tomllib.loads(out)["plan"] == best["plan"]
    code, _, _ = run_narrower("transform", "--config", "picked.toml", "--output", "small.safetensors")
    assert code == 0
    model = narrower.load_compressed("small.safetensors")
    part = jets.validation.first(256)
    with torch.inference_mode():
        correct = int((model(part.inputs).argmax(dim=1) == part.targets).sum())
    assert correct == round(best["metrics"]["accuracy"] * 256)
    for arguments in (("--knee",), ("--accuracy-drop", "0.5")):
        assert run_narrower("pick", "runs/toy", *arguments)[0] == 0
    for member in record["members"]:
        code, out, _ = run_narrower("pick", "runs/toy", "--trial", member["number"])
        assert code == 0
        assert tomllib.loads(out)["plan"] == member["plan"]
    absent = ("--trial", max(m["number"] for m in record["members"]) + 1000)
    two = ("--max", "average_bitwidth=6", "--max", "average_bitwidth=7")
    for arguments in (
        ("--max", "average_bitwidth=1"),
        ("--max", "bitops"),
        ("--max", "bitops=nan"),
        ("--max", "bitop=3"),
        two,
        absent,
        (),
    ):
        assert run_narrower("pick", "runs/toy", *arguments)[0] == 2


def test_search_from_python_gives_a_plain_table(jsc_toy: torch.nn.Module, jets: DataSet) -> None:
    result = narrower.search(
        jsc_toy,
        jets,
        {"seq_blocks.2": {"weight": [2, 8]}, "seq_blocks_8": {"data": [4, 8], "weight": [8]}},
        ["accuracy", "bitops"],
        samples=200,
        constraints={"bitops": (None, 200_000)},
    )
    assert result.record.summary.trials == 4
    assert {"number", "accuracy", "bitops", "plan"} <= result.front[0].keys()
    assert not Path("runs").exists()
    with pytest.raises(narrower.NarrowerError, match="did you mean"):
        narrower.search(jsc_toy, jets, {"seq_block.2": {"weight": [2]}}, ["accuracy"])
