"""Every settings file in configs/ is valid as it stands, and a short search with it works."""

from pathlib import Path

import pytest

from tests.conftest import RunNarrower
from tests.docs.console import ROOT, fast

CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_settings_file_works(config: Path, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("check", config)
    assert code == 0, err
    Path("fast.toml").write_text(fast(config, 3), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", "fast.toml")
    assert code == 0, err
    assert "front of" in out
