"""Data sets: disjoint parts, standardised by the training part alone, and clear refusals."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from narrower.data import openml
from narrower.data.datasets import load_data_set, split_table
from narrower.data.sources import Table, jets
from narrower.data.splitting import moments, split_indices
from narrower.errors import DataError, NarrowerError


@pytest.mark.parametrize("name", ["jets", "digits"])
def test_parts_are_disjoint_and_complete(name: str) -> None:
    count = sum(len(part) for part in load_data_set(name).parts.values())
    train, validation, test = split_indices(count, 0)
    together = np.concatenate([train, validation, test])
    assert sorted(together.tolist()) == list(range(count))


def test_the_training_part_alone_sets_mean_and_deviation() -> None:
    data = load_data_set("jets")
    torch.testing.assert_close(data.train.inputs.mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(data.train.inputs.std(dim=0), torch.ones(16), atol=1e-3, rtol=0)
    raw = jets()
    indices = split_indices(len(raw.targets), 0)
    train = raw.inputs[indices[0]].astype(np.float64)
    expected = (raw.inputs[indices[2]].astype(np.float64) - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(data.test.inputs.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_the_jets_ship_with_the_package() -> None:
    raw = jets()
    assert len(raw.targets) >= 50_000
    assert raw.inputs.shape[1] == 16
    assert np.bincount(raw.targets).min() > 9_000
    file = Path(sys.modules["narrower.data.sources"].__file__ or "").parent / "files" / "jets.npz"
    assert file.stat().st_size <= 4_000_000


def test_same_seed_same_parts_other_seed_other_parts() -> None:
    hashes = [load_data_set("digits", seed=seed).content_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_digits32_is_three_equal_channels() -> None:
    data = load_data_set("digits32")
    assert data.train.inputs.shape[1:] == (3, 32, 32)
    assert torch.equal(data.train.inputs[:, 0], data.train.inputs[:, 2])


def test_a_constant_feature_becomes_zero() -> None:
    inputs = np.stack([np.full(100, 0.1), np.arange(100.0)], axis=1).astype(np.float32)
    data = split_table("constant", Table(inputs, np.arange(100) % 2, ("a", "b")), 0)
    assert float(data.train.inputs[:, 0].abs().max()) < 1e-6
    assert moments(inputs)[1][0] == 1


def test_without_a_network_the_error_comes_soon_and_names_jets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(Path.cwd()))
    monkeypatch.setattr(openml, "URL", "http://127.0.0.1:9/nobody-listens")
    start = time.monotonic()
    with pytest.raises(DataError, match="data set 'jets'"):
        load_data_set("jsc")
    assert time.monotonic() - start < 20  # "soon": far below what a default timeout would take


def test_the_users_own_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_data.py").write_text(
        "import numpy as np\n"
        "def table():\n"
        "    return np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2\n"
        "def broken():\n"
        "    raise OSError('no disk')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    data = load_data_set("my_data:table")
    assert len(data.train) + len(data.validation) + len(data.test) == 200
    assert data.train.targets.dtype == torch.int64
    for name, said in (("my_data:tabel", "table"), ("my_data:broken", "no disk"), ("my_dta:x", "my_dta")):
        with pytest.raises(NarrowerError, match=said):
            load_data_set(name)


@pytest.mark.slow
def test_the_generator_gives_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc", reason="the generator needs pythia8mc and fastjet")
    pytest.importorskip("fastjet", reason="the generator needs pythia8mc and fastjet")
    tool = Path(__file__).parents[2] / "tools" / "generate_jets.py"
    files = [tmp_path / "1.npz", tmp_path / "2.npz"]
    for file in files:
        subprocess.run(
            [sys.executable, tool, "--per-class", "20", "--seed", "3", "--output", file], check=True
        )
    assert files[0].read_bytes() == files[1].read_bytes()
