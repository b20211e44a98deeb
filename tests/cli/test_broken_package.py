"""A package of the user's environment that fails while it is imported is named; it is no defect of ours."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_torchvision_that_does_not_fit_is_named_with_what_needs_it(tmp_path: Path) -> None:
    package, facts = tmp_path / "torchvision", tmp_path / "torchvision-0.1.0.dist-info"
    package.mkdir()
    facts.mkdir()
    reason = "operator torchvision::nms does not exist"
    (package / "__init__.py").write_text(f"raise RuntimeError({reason!r})\n", encoding="utf-8")
    (facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1.0\n", encoding="utf-8"
    )
    paths = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(tmp_path)])
    command = ["train", "jsc-tiny", "jets", "--max-epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "narrower", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == 2
    assert "the package torchvision 0.1.0 of this Python environment cannot be imported" in done.stderr
    assert f"RuntimeError: {reason}" in done.stderr
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr
