"""What shells are offered: they ask the program with what has been typed so far."""

import subprocess
import sys
from pathlib import Path

import pytest

from narrower.models.catalogue import MODELS
from narrower.settings.schema import RunSettings
from narrower.store.trials import TrialStore
from tests.conftest import RunNarrower


def offered(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch, typed: str, shell: str = "bash"
) -> list[str]:
    """The completions of the last word; a space at the end begins a new one."""
    words = typed.split(" ")
    monkeypatch.setenv("_NARROWER_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    code, out, _ = run_narrower()
    assert code == 0
    return out.split()


def test_commands_models_data_sets_and_samplers(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered(run_narrower, monkeypatch, "narrower sh") == ["show"]
    assert offered(run_narrower, monkeypatch, "narrower train jsc") == [
        name for name in MODELS if name.startswith("jsc")
    ]
    assert offered(run_narrower, monkeypatch, "narrower test jsc-toy je") == ["jets"]
    assert offered(run_narrower, monkeypatch, "narrower search --sampler ns") == ["nsgaii", "nsgaiii"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_runs(shell: str, run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        Path("runs", name).mkdir(parents=True)
        TrialStore.create(Path("runs", name, "trials.db"), ["accuracy"], {}).close()
    found = " ".join(offered(run_narrower, monkeypatch, "narrower show runs/f", shell))
    assert "runs/first" in found
    assert "runs/second" not in found
    found = " ".join(offered(run_narrower, monkeypatch, "narrower search --resume runs/", shell))
    assert "runs/first" in found
    assert "runs/second" in found


def test_layers_of_a_built_in_model_and_keys_of_settings(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = offered(run_narrower, monkeypatch, "narrower resize jsc-toy --channels seq_blocks.")
    assert {"seq_blocks.2", "seq_blocks.5", "seq_blocks.8"} <= set(found)
    assert offered(run_narrower, monkeypatch, "narrower resize mine:model --channels s") == []
    keys = offered(run_narrower, monkeypatch, "narrower search --set search.strategy.setup.n_t")
    assert keys == ["search.strategy.setup.n_trials="]
    assert {
        f"{key}=" for key, field in RunSettings.model_fields.items() if field.annotation in (str, int)
    } <= {
        *offered(run_narrower, monkeypatch, "narrower search --set "),
    }


def test_a_completion_of_names_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from narrower.cli.complete import like_key, like_model, like_run; "
        "like_model('j'); like_run(''); like_key('m'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
