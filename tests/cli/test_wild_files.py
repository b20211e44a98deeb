"""Files of the kinds that people write for MASE/chop pass `check`, or one message has all that is wrong."""

from pathlib import Path

import pytest
import tomli_w

from tests.cli.wild_files import REFUSED, RUN
from tests.conftest import RunNarrower
from tests.data.test_cifar import TEN
from tests.data.test_cifar import write as write_cifar
from tests.data.test_jsc_files import table, write_hdf5


@pytest.mark.parametrize("kind", RUN)
def test_it_passes_and_says_what_has_no_effect(kind: str, run_narrower: RunNarrower) -> None:
    build, said = RUN[kind]
    tables = build()
    if tables["dataset"] == "cifar10":
        write_cifar(Path("data/cifar-10-batches-bin"), TEN, 1, 10, rows=60)
        tables["search"]["strategy"]["sw_runner"]["basic_evaluation"]["num_samples"] = 16
    if "data_path" in tables:
        features, labels = table(300)
        write_hdf5(Path("jets.z"), features, labels)
        tables["search"]["strategy"]["sw_runner"]["basic_evaluation"]["num_samples"] = 16
    Path("lab.toml").write_text(tomli_w.dumps(tables), encoding="utf-8")
    code, out, err = run_narrower("check", "lab.toml")
    assert code == 0, err
    assert "space: " in out
    for words in said:
        assert sum(words in line for line in err.splitlines()) == 1, err
    assert all(line.startswith("warning: ") for line in err.splitlines()), err


@pytest.mark.parametrize("kind", REFUSED)
def test_one_message_names_everything_that_is_wrong(kind: str, run_narrower: RunNarrower) -> None:
    build, said = REFUSED[kind]
    Path("lab.toml").write_text(tomli_w.dumps(build()), encoding="utf-8")
    code, out, err = run_narrower("check", "lab.toml")
    assert code == 2
    assert out == ""
    assert err.count("error: ") == 1
    for words in said:
        assert any(words in line and "lab.toml:" in line for line in err.splitlines()), f"{words}\n{err}"
